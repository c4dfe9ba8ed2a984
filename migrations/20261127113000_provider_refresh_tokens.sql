-- Whose the refresh tokens of providers are, so that nobody trades another user's.
create table auth.keywright_provider_refresh_tokens (
    token_hash bytea primary key,
    user_provider_id uuid not null
        references auth.user_providers (id) on update cascade on delete cascade,
    created_at timestamptz not null
);
create index keywright_provider_refresh_tokens_user_provider_id_idx
    on auth.keywright_provider_refresh_tokens (user_provider_id, created_at);
comment on table auth.keywright_provider_refresh_tokens is 'Keywright: refresh tokens of providers that were given out (SHA-256 only), and for which identity.';
