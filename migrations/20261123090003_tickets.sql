-- Single-use tickets, hashed, one pending per user and purpose.
create table auth.keywright_tickets (
    ticket_hash bytea primary key,
    user_id uuid not null references auth.users (id) on update cascade on delete cascade,
    purpose text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    constraint keywright_tickets_user_id_purpose_key unique (user_id, purpose)
);
create index keywright_tickets_expires_at_idx on auth.keywright_tickets (expires_at);
comment on table auth.keywright_tickets is 'Keywright: pending single-use tickets (SHA-256 only).';

-- Tickets of the reference sit in the users table, where looking one up was a sequential scan.
create index keywright_users_ticket_idx on auth.users (ticket) where ticket is not null;
