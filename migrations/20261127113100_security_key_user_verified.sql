-- Whether an authenticator verified its user (by PIN or biometrics) when its key was last used.
alter table auth.keywright_security_keys add column user_verified boolean;
comment on column auth.keywright_security_keys.user_verified is 'Whether the user was verified at the last use; unknown for uses before this column.';
