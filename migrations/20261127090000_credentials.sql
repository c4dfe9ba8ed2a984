-- When the access tokens of a user were ended. Tokens that name their session need no such time; the
-- reference's do not, and what another node is about to insert cannot be deleted yet.
create table auth.keywright_credentials (
    user_id uuid primary key references auth.users (id) on update cascade on delete cascade,
    changed_at timestamptz not null
);
comment on table auth.keywright_credentials is 'Keywright: since when the access tokens and pending flows of a user count.';
