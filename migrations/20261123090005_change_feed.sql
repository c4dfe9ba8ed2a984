-- Tells every node which cached users changed, whoever changed them. Hot writes of Keywright and
-- the reference (last_seen, tickets, codes) stay silent, because NOTIFY serialises commits.
-- Payloads: `user:<uuid>` or `all`.
-- The columns are named in the body, which Postgres reads late, and not in a WHEN clause, on which a
-- later change of their types would founder.
create function auth.keywright_notify_user() returns trigger
language plpgsql as $$
begin
    if tg_op = 'DELETE' or (
        old.id, old.disabled, old.display_name, old.avatar_url, old.locale, old.email::text,
        old.phone_number, old.password_hash, old.email_verified, old.phone_number_verified,
        old.default_role, old.is_anonymous, old.totp_secret, old.active_mfa_type, old.metadata,
        old.created_at
    ) is distinct from (
        new.id, new.disabled, new.display_name, new.avatar_url, new.locale, new.email::text,
        new.phone_number, new.password_hash, new.email_verified, new.phone_number_verified,
        new.default_role, new.is_anonymous, new.totp_secret, new.active_mfa_type, new.metadata,
        new.created_at
    ) then
        perform pg_notify('keywright_changes', 'user:' || old.id);
    end if;
    return null;
end
$$;

create trigger keywright_users_changed after update or delete on auth.users
for each row execute function auth.keywright_notify_user();

create function auth.keywright_notify_user_role() returns trigger
language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        perform pg_notify('keywright_changes', 'user:' || old.user_id);
    end if;
    if tg_op <> 'DELETE' then
        perform pg_notify('keywright_changes', 'user:' || new.user_id);
    end if;
    return null;
end
$$;

create trigger keywright_user_roles_changed after insert or update or delete on auth.user_roles
for each row execute function auth.keywright_notify_user_role();

-- Row triggers do not fire for TRUNCATE.
create function auth.keywright_notify_all() returns trigger
language plpgsql as $$
begin
    perform pg_notify('keywright_changes', 'all');
    return null;
end
$$;

create trigger keywright_users_truncated after truncate on auth.users
for each statement execute function auth.keywright_notify_all();

create trigger keywright_user_roles_truncated after truncate on auth.user_roles
for each statement execute function auth.keywright_notify_all();
