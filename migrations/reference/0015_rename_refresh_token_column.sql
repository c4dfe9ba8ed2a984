-- The token itself is no longer stored: its column becomes a mere id, its hash an ordinary column.
alter table auth.refresh_tokens rename column refresh_token to id;
alter table auth.refresh_tokens alter column id set default gen_random_uuid();
comment on column auth.refresh_tokens.id is null;

alter table auth.refresh_tokens rename column refresh_token_hash to refresh_token_hash_generated;
alter table auth.refresh_tokens add column refresh_token_hash varchar(255);
update auth.refresh_tokens set refresh_token_hash = refresh_token_hash_generated;
alter table auth.refresh_tokens drop column refresh_token_hash_generated;
