alter table auth.users add column webauthn_current_challenge text;

create table auth.user_authenticators (
    id uuid not null default public.gen_random_uuid(),
    user_id uuid not null,
    credential_id text not null,
    credential_public_key bytea,
    counter bigint not null default 0,
    transports varchar(255) not null default '',
    constraint user_authenticators_pkey primary key (id),
    constraint user_authenticators_credential_id_key unique (credential_id),
    constraint fk_user foreign key (user_id)
    references auth.users (id) on update cascade on delete cascade
);
comment on table auth.user_authenticators is 'WebAuthn credentials of accounts. Managed by the authentication server: do not alter the structure.';
