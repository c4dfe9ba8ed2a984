-- Several pending tickets of a kind for each user, so that nobody voids what another one waits for. The
-- constraint keeps its name: nodes of the version before use it, and know the first place only.
alter table auth.keywright_tickets
    add column slot integer not null default 0,
    add column email text;
alter table auth.keywright_tickets
    drop constraint keywright_tickets_user_id_purpose_key,
    add constraint keywright_tickets_user_id_purpose_key unique (user_id, purpose, slot);
comment on column auth.keywright_tickets.slot is 'Place among the pending tickets of this purpose.';
comment on column auth.keywright_tickets.email is 'The address that a change is about: the new one, or the one that an undo restores.';

-- When somebody was sent something last, by a keyed hash of whom and what; nobody is flooded.
create table auth.keywright_recipients (
    recipient bytea primary key,
    sent_at timestamptz[] not null,
    expires_at timestamptz not null
);
create index keywright_recipients_expires_at_idx on auth.keywright_recipients (expires_at);
comment on table auth.keywright_recipients is 'Keywright: when recipients of mail and SMS were last sent any.';
