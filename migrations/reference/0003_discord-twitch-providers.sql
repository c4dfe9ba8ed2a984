insert into auth.providers (id) values ('discord'), ('twitch') on conflict do nothing;
