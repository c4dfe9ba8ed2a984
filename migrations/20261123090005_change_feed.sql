-- Tells every node which cached users changed, whoever changed them. Hot writes of Keywright and
-- the reference (last_seen, tickets, codes) stay silent, because NOTIFY serialises commits.
-- Payloads: `user:<uuid>` or `all`.
create function auth.keywright_notify_user() returns trigger
language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        perform pg_notify('keywright_changes', 'user:' || old.id);
    end if;
    return null;
end
$$;

create trigger keywright_users_changed after update on auth.users
for each row when (
    old.id is distinct from new.id
    or old.disabled is distinct from new.disabled
    or old.display_name is distinct from new.display_name
    or old.avatar_url is distinct from new.avatar_url
    or old.locale is distinct from new.locale
    or old.email::text is distinct from new.email::text
    or old.phone_number is distinct from new.phone_number
    or old.password_hash is distinct from new.password_hash
    or old.email_verified is distinct from new.email_verified
    or old.phone_number_verified is distinct from new.phone_number_verified
    or old.default_role is distinct from new.default_role
    or old.is_anonymous is distinct from new.is_anonymous
    or old.totp_secret is distinct from new.totp_secret
    or old.active_mfa_type is distinct from new.active_mfa_type
    or old.metadata is distinct from new.metadata
    or old.created_at is distinct from new.created_at
)
execute function auth.keywright_notify_user();

create trigger keywright_users_deleted after delete on auth.users
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
