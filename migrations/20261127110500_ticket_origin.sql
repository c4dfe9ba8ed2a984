-- Who asked for a ticket decides what using it may do.
alter table auth.keywright_tickets
    add column by_registration boolean not null default false,
    add column session_id uuid,
    add column browser_hash bytea;
comment on column auth.keywright_tickets.by_registration is 'Issued together with the account: to prove its address hands nothing over.';
comment on column auth.keywright_tickets.session_id is 'The session that asked; the ticket ends with it.';
comment on column auth.keywright_tickets.browser_hash is 'SHA-256 of what the browser that asked keeps.';
