create type auth.refresh_token_type as enum ('regular', 'pat');
alter table auth.refresh_tokens
add column type auth.refresh_token_type not null default 'regular';
