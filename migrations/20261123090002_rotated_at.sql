-- When Keywright last rotated this token: the start of the grace window. Null for rows of others.
alter table auth.refresh_tokens add column keywright_rotated_at timestamptz;
