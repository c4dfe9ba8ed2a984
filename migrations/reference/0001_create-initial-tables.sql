-- The first shape of schema auth. `public.` stands for the schema in which the extensions live.
create extension if not exists citext with schema public;
create extension if not exists pgcrypto with schema public;

create function auth.set_current_timestamp_updated_at() returns trigger
language plpgsql as $$
begin
    new.updated_at = now();
    return new;
end
$$;

-- The address syntax of the HTML living standard (input type=email).
create domain auth.email as public.citext
constraint email_check check (
    value ~ '^[a-zA-Z0-9.!#$%&''*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$'
);

create table auth.user_providers (
    id uuid not null default public.gen_random_uuid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    user_id uuid not null,
    access_token text not null,
    refresh_token text,
    provider_id text not null,
    provider_user_id text not null,
    constraint user_providers_pkey primary key (id),
    constraint user_providers_user_id_provider_id_key unique (user_id, provider_id),
    constraint user_providers_provider_id_provider_user_id_key
    unique (provider_id, provider_user_id)
);

create table auth.user_roles (
    id uuid not null default public.gen_random_uuid(),
    created_at timestamptz not null default now(),
    user_id uuid not null,
    role text not null,
    constraint user_roles_pkey primary key (id),
    constraint user_roles_user_id_role_key unique (user_id, role)
);

create table auth.users (
    id uuid not null default public.gen_random_uuid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    last_seen timestamptz,
    disabled boolean not null default false,
    display_name text not null default '',
    avatar_url text not null default '',
    locale varchar(2) not null,
    email auth.email,
    phone_number text,
    password_hash text,
    email_verified boolean not null default false,
    phone_number_verified boolean not null default false,
    new_email auth.email,
    otp_method_last_used text,
    otp_hash text,
    otp_hash_expires_at timestamptz not null default now(),
    default_role text not null default 'user',
    is_anonymous boolean not null default false,
    totp_secret text,
    active_mfa_type text,
    ticket text,
    ticket_expires_at timestamptz not null default now(),
    constraint users_pkey primary key (id),
    constraint users_email_key unique (email),
    constraint users_phone_number_key unique (phone_number),
    constraint active_mfa_types_check
    check (active_mfa_type = 'totp' or active_mfa_type = 'sms')
);

create table auth.providers (
    id text not null,
    constraint providers_pkey primary key (id)
);

create table auth.refresh_tokens (
    refresh_token uuid not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    user_id uuid not null,
    constraint refresh_tokens_pkey primary key (refresh_token)
);

create table auth.roles (
    role text not null,
    constraint roles_pkey primary key (role)
);

create table auth.provider_requests (
    id uuid not null,
    redirect_url text not null,
    constraint provider_requests_pkey primary key (id)
);

alter table auth.user_providers
add constraint fk_user foreign key (user_id)
references auth.users (id) on update cascade on delete cascade,
add constraint fk_provider foreign key (provider_id)
references auth.providers (id) on update cascade on delete restrict;

alter table auth.user_roles
add constraint fk_user foreign key (user_id)
references auth.users (id) on update cascade on delete cascade,
add constraint fk_role foreign key (role)
references auth.roles (role) on update cascade on delete restrict;

alter table auth.users
add constraint fk_default_role foreign key (default_role)
references auth.roles (role) on update cascade on delete restrict;

alter table auth.refresh_tokens
add constraint fk_user foreign key (user_id)
references auth.users (id) on update cascade on delete cascade;

create trigger set_auth_users_updated_at before update on auth.users
for each row execute function auth.set_current_timestamp_updated_at();

create trigger set_auth_user_providers_updated_at before update on auth.user_providers
for each row execute function auth.set_current_timestamp_updated_at();

insert into auth.roles (role) values ('user'), ('anonymous'), ('me');

insert into auth.providers (id) values
('github'), ('facebook'), ('twitter'), ('google'), ('apple'), ('linkedin'),
('windowslive'), ('spotify'), ('strava'), ('gitlab'), ('bitbucket');
