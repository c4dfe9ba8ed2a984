-- The step of the last TOTP code that was accepted, so that none is accepted twice on any node.
create table auth.keywright_totp_steps (
    user_id uuid primary key references auth.users (id) on update cascade on delete cascade,
    last_step bigint not null,
    accepted_at timestamptz not null
);
comment on table auth.keywright_totp_steps is 'Keywright: last accepted TOTP step of each user.';
