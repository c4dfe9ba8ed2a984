-- What hangs on a user is looked up by the user: when an account is verified, changes hands or ends
-- something. The reference has no index for that.
create index keywright_user_providers_user_id_idx on auth.user_providers (user_id);
create index keywright_outbox_user_id_idx on auth.keywright_outbox (user_id) where user_id is not null;
