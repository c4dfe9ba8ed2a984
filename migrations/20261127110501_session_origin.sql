-- What a session came from. One of a personal access token ends with it.
alter table auth.refresh_tokens
    add column keywright_pat_id uuid,
    add column keywright_until timestamptz,
    add column keywright_key_id uuid;
comment on column auth.refresh_tokens.keywright_pat_id is 'Keywright: the personal access token that the session came from.';
comment on column auth.refresh_tokens.keywright_until is 'Keywright: no refresh makes the session last longer than this.';
comment on column auth.refresh_tokens.keywright_key_id is 'Keywright: the security key that the session came from.';
create index keywright_refresh_tokens_pat_id_idx on auth.refresh_tokens (keywright_pat_id)
    where keywright_pat_id is not null;

-- Whoever deletes the token, and be it by hand. There is no foreign key, since each refresh would
-- have to look at it.
create function auth.keywright_end_pat_sessions() returns trigger
language plpgsql as $$
begin
    if old.type::text = 'pat' then
        delete from auth.refresh_tokens where keywright_pat_id = old.id;
    end if;
    return null;
end
$$;

create trigger keywright_end_pat_sessions after delete on auth.refresh_tokens
for each row execute function auth.keywright_end_pat_sessions();
