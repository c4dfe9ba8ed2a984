-- Identities at providers whose owner has not proven the address of the account. Whoever proves it
-- later decides: from the same browser the identity stays with the account, otherwise it goes.
create table auth.keywright_unproven_links (
    user_id uuid not null references auth.users (id) on update cascade on delete cascade,
    provider_id text not null,
    provider_user_id text not null,
    browser_hash bytea,
    created_at timestamptz not null,
    primary key (user_id, provider_id, provider_user_id)
);
comment on table auth.keywright_unproven_links is 'Keywright: provider identities that wait for the address of their account to be proven.';
comment on table auth.keywright_challenges is 'Keywright: pending passkey ceremonies, provider sign-ins and codes, single use.';
create index keywright_challenges_purpose_idx on auth.keywright_challenges (purpose, created_at);
