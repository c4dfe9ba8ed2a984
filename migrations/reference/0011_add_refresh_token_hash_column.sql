-- The hash in the text form of a bytea: backslash, x, 64 hexadecimal digits.
alter table auth.refresh_tokens add column refresh_token_hash varchar(255)
generated always as ('\x' || encode(sha256(refresh_token::text::bytea), 'hex')) stored;
comment on column auth.refresh_tokens.refresh_token is 'Deprecated: refer to the hash instead.';
