insert into auth.providers (id) values ('workos') on conflict do nothing;
