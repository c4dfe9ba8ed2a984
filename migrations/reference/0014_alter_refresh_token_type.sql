-- A lookup table instead of the enum, which old builds may have made outside schema auth.
do $$
declare
    enum_type regtype;
begin
    select atttypid::regtype into enum_type from pg_attribute
    where attrelid = 'auth.refresh_tokens'::regclass and attname = 'type' and not attisdropped;

    alter table auth.refresh_tokens alter column type drop default;
    alter table auth.refresh_tokens alter column type set data type text using type::text;

    if (select typtype = 'e' and typname = 'refresh_token_type' from pg_type where oid = enum_type) then
        execute format('drop type %s', enum_type);
    end if;
end
$$;

create table auth.refresh_token_types (
    value text not null,
    comment text,
    constraint refresh_token_types_pkey primary key (value)
);
insert into auth.refresh_token_types (value, comment) values
('regular', 'Regular refresh token'),
('pat', 'Personal access token');

alter table auth.refresh_tokens
alter column type set default 'regular',
add constraint refresh_tokens_types_fkey foreign key (type)
references auth.refresh_token_types (value) on update restrict on delete restrict;
