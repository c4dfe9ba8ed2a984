insert into auth.providers (id) values ('entraid') on conflict do nothing;
