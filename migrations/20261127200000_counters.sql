-- Counts of failed proofs and of requests, shared by all nodes. Unlogged: they say nothing after an
-- hour, so they are not worth a place in the WAL. A crash of Postgres empties the table, and so does a
-- fail-over to a replica: every account then has all its attempts again.
create unlogged table auth.keywright_counters (
    -- A keyed hash of what is counted, for whom, and of the length of the window.
    key bytea not null,
    -- 0 where all nodes count in one row; else whose count it is.
    node bigint not null,
    -- Milliseconds of a window.
    span bigint not null,
    -- Number of the window that `current` belongs to, counted from the epoch.
    slot bigint not null,
    current integer not null,
    previous integer not null,
    -- Of the attempts in `current`, those whose outcome is not known yet.
    under_way integer not null default 0,
    -- Most in a window, and how many the last statement got of those that it asked for.
    allowed integer not null default 0,
    granted integer not null default 0,
    counted_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (key, node)
) with (fillfactor = 70);
create index keywright_counters_expires_at_idx on auth.keywright_counters (expires_at);
comment on table auth.keywright_counters is 'Keywright: counts of failed proofs and of requests, until their windows are over.';
