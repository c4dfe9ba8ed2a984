-- Tickets that need a second proof, and codes, may be tried a few times only.
alter table auth.keywright_tickets add column tries smallint not null default 0;
comment on column auth.keywright_tickets.tries is 'Proofs presented so far.';
