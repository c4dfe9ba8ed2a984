-- Passkey challenges are signed, and only that one was used is stored: as much as people really sign
-- in, whatever strangers begin.
create table auth.keywright_used_challenges (
    challenge bytea primary key,
    expires_at timestamptz not null
);
create index keywright_used_challenges_expires_at_idx on auth.keywright_used_challenges (expires_at);
comment on table auth.keywright_used_challenges is 'Keywright: passkey challenges that were used, until they expire.';

-- Whose pending flows make room first: a keyed hash of the client network that began a flow. Nodes of
-- the version before this one leave it empty.
alter table auth.keywright_challenges add column network bytea;
