-- Requests in flight lose their redirect, which is acceptable: they live for minutes.
alter table auth.provider_requests
drop column redirect_url,
add column options jsonb;
