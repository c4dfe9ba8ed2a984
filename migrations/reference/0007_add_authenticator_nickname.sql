alter table auth.user_authenticators add column nickname text;
