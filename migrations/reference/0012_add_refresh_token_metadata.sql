alter table auth.refresh_tokens add column metadata jsonb;
