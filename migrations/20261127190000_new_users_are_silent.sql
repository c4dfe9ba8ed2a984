-- The roles of a user who is inserted by the same transaction are no change: nobody has read that user
-- yet. NOTIFY serialises commits, so without this sign-ups would wait for each other's.
-- `keywright.new_user` is set by the statement that inserts the user, and ends with its transaction.
-- Nodes of earlier versions do not set it, and tell everybody as before.
create or replace function auth.keywright_notify_user_role() returns trigger
language plpgsql as $$
begin
    if tg_op = 'INSERT' and new.user_id::text = current_setting('keywright.new_user', true) then
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
