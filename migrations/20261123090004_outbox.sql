-- Mail that an acknowledged request has promised: written with the ticket, deleted once delivered.
create table auth.keywright_outbox (
    id uuid primary key,
    user_id uuid references auth.users (id) on update cascade on delete cascade,
    recipient text not null,
    template text not null,
    locale text not null,
    variables jsonb not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    attempts integer not null default 0,
    next_attempt_at timestamptz not null,
    last_error text
);
create index keywright_outbox_next_attempt_at_idx on auth.keywright_outbox (next_attempt_at);
comment on table auth.keywright_outbox is 'Keywright: messages waiting to be delivered.';
