-- Free data of the application about a user.
alter table auth.users add column metadata jsonb;
