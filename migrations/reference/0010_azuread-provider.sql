insert into auth.providers (id) values ('azuread') on conflict do nothing;
