-- As before, for a statement that inserts several users: `keywright.new_user` may list their ids.
create or replace function auth.keywright_notify_user_role() returns trigger
language plpgsql as $$
begin
    if tg_op = 'INSERT'
       and strpos(current_setting('keywright.new_user', true), new.user_id::text) > 0 then
        return null;
    end if;
    if tg_op <> 'INSERT' then
        perform pg_notify('keywright_changes', 'user:' || old.user_id);
    end if;
    if tg_op <> 'DELETE' then
        perform pg_notify('keywright_changes', 'user:' || new.user_id);
    end if;
    return null;
end
$$;
