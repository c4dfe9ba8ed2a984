-- Links that are followed to a code instead of a refresh token (RFC 7636).
alter table auth.keywright_tickets add column code_challenge text;
comment on column auth.keywright_tickets.code_challenge is 'Challenge of the application that waits for a code.';
