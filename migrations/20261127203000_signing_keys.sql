-- Keys of access tokens, one row each, for ever: next -> current -> retired. Without rows the key of
-- the configuration signs, as with earlier versions.
create table auth.keywright_signing_keys (
    -- The thumbprint of the public key (RFC 7638).
    kid text primary key,
    algorithm text not null,
    state text not null constraint keywright_signing_keys_state_check
        check (state in ('next', 'current', 'retired')),
    -- Sealed, bound to kid; null once nobody accepts tokens of the key.
    private_key text,
    created_at timestamptz not null,
    -- From when on it may sign.
    ready_at timestamptz not null,
    -- When it begins to sign by itself.
    signs_at timestamptz,
    activated_at timestamptz,
    retired_at timestamptz,
    -- Until when tokens of a retired key are good.
    accepted_until timestamptz,
    -- Until when tokens of the configured key are good, in whose place this one began to sign. Written once:
    -- what tokens live for may change later, and must not bring that key back.
    configured_until timestamptz,
    constraint keywright_signing_keys_private_key_check
        check (private_key is not null or state = 'retired')
);
create unique index keywright_signing_keys_next_idx
    on auth.keywright_signing_keys (state) where state = 'next';
create unique index keywright_signing_keys_current_idx
    on auth.keywright_signing_keys (state) where state = 'current';
comment on table auth.keywright_signing_keys is 'Keywright: keys of access tokens, their private half sealed.';

-- Nodes of earlier versions take the payload for a reason to empty their caches.
create function auth.keywright_notify_signing_keys() returns trigger
language plpgsql as $$
begin
    if tg_op <> 'UPDATE'
        or (old.state, old.accepted_until, old.signs_at)
            is distinct from (new.state, new.accepted_until, new.signs_at)
    then
        perform pg_notify('keywright_changes', 'signing-keys');
    end if;
    return null;
end
$$;

create trigger keywright_signing_keys_changed
after insert or update or delete on auth.keywright_signing_keys
for each row execute function auth.keywright_notify_signing_keys();
