comment on table auth.users is 'Accounts. Managed by the authentication server: do not alter the structure.';
comment on table auth.refresh_tokens is 'Sessions and personal access tokens. Managed by the authentication server: do not alter the structure.';
comment on table auth.roles is 'All roles that accounts may have. Managed by the authentication server: do not alter the structure.';
comment on table auth.user_roles is 'Roles of each account. Managed by the authentication server: do not alter the structure.';
comment on table auth.providers is 'Known social sign-in providers. Managed by the authentication server: do not alter the structure.';
comment on table auth.user_providers is 'Provider identities linked to accounts. Managed by the authentication server: do not alter the structure.';
comment on table auth.provider_requests is 'Provider sign-ins in flight. Managed by the authentication server: do not alter the structure.';
comment on table auth.schema_migrations is 'Level of this schema. Managed by the authentication server: do not alter the structure.';
