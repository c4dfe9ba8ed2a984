-- Pending WebAuthn ceremonies, so that any node finishes what another began, also after a restart.
-- The user has no foreign key: a sign-up has none yet, and a deleted user's rows expire by themselves.
create table auth.keywright_challenges (
    challenge bytea primary key,
    purpose text not null,
    user_id uuid,
    data text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index keywright_challenges_expires_at_idx on auth.keywright_challenges (expires_at);
create index keywright_challenges_created_at_idx on auth.keywright_challenges (created_at);
create index keywright_challenges_user_id_idx
    on auth.keywright_challenges (user_id, purpose) where user_id is not null;
comment on table auth.keywright_challenges is 'Keywright: pending WebAuthn ceremonies, single use.';

-- What the reference does not keep of a key; a key that it registered has no row until its next use.
create table auth.keywright_security_keys (
    security_key_id uuid primary key
        references auth.user_security_keys (id) on update cascade on delete cascade,
    sign_count bigint not null,
    transports text[] not null default '{}',
    backup_eligible boolean not null,
    backed_up boolean not null,
    created_at timestamptz,
    last_used_at timestamptz
);
comment on table auth.keywright_security_keys is 'Keywright: counter, backup state and last use of security keys.';
create index keywright_user_security_keys_user_id_idx on auth.user_security_keys (user_id);
