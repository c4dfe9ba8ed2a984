-- Every node and its last heartbeat, for people and for alerts; nothing is decided by it. Unlogged, since a row
-- is worth three seconds: a crash of Postgres or a fail-over empties the table, and who lives is back at the
-- next heartbeat. Only the primary key is an index and most of a page stays free, so that a heartbeat is a HOT
-- update and leaves nothing to vacuum.
create unlogged table auth.keywright_nodes (
    id uuid primary key,
    name text not null,
    version text not null,
    started_at timestamptz not null,
    heartbeat_at timestamptz not null,
    stopped_at timestamptz,
    host text not null,
    port integer not null,
    admin_host text,
    admin_port integer,
    clock_ms bigint not null,
    fingerprints jsonb not null,
    knobs text[] not null,
    digest jsonb not null
) with (fillfactor = 25);
comment on table auth.keywright_nodes is 'Keywright: the nodes on this database and their last heartbeat.';
comment on column auth.keywright_nodes.id is 'Random for each start.';
comment on column auth.keywright_nodes.stopped_at is 'When the node was told to stop.';
comment on column auth.keywright_nodes.admin_host is 'Where other nodes ask for its actors; null without an admin listener.';
comment on column auth.keywright_nodes.clock_ms is 'How far its clock is ahead of that of Postgres.';
comment on column auth.keywright_nodes.fingerprints is 'Keyed hashes of what all nodes must agree on.';
comment on column auth.keywright_nodes.knobs is 'The settings that it can change while it runs.';
