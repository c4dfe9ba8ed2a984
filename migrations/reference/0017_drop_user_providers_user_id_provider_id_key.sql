-- One account may have several identities of one provider.
alter table auth.user_providers drop constraint if exists user_providers_user_id_provider_id_key;
