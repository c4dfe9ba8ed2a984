-- What all nodes on this database must agree on (origin, stored forms, rotation key).
create table auth.keywright_settings (
    name text primary key,
    value text not null,
    updated_at timestamptz not null default now()
);
comment on table auth.keywright_settings is 'Keywright: facts and secrets shared by all nodes.';
