create index if not exists refresh_tokens_refresh_token_hash_expires_at_user_id_idx
on auth.refresh_tokens (refresh_token_hash, expires_at, user_id);
