//! Errors of Postgres: ours are told by schema, table and name, an application's are its own.

use std::sync::Arc;

use keywright::persistence::constraints::{BREAKABLE, Constraint, Violation};
use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, TestResponse};
use crate::support::logs;
use crate::support::postgres::TestDatabase;

/// Constraints that no request breaks: a new one is either here or in `persistence/constraints.rs`.
const UNBREAKABLE: &[(&str, &[&str])] = &[
    (
        "ids and hashes are random, or the statement says what happens on a conflict",
        &[
            "keywright_challenges.keywright_challenges_pkey",
            "keywright_counters.keywright_counters_pkey",
            "keywright_credentials.keywright_credentials_pkey",
            "keywright_nodes.keywright_nodes_pkey",
            "keywright_outbox.keywright_outbox_pkey",
            "keywright_provider_refresh_tokens.keywright_provider_refresh_tokens_pkey",
            "keywright_recipients.keywright_recipients_pkey",
            "keywright_security_keys.keywright_security_keys_pkey",
            "keywright_tickets.keywright_tickets_pkey",
            "keywright_tickets.keywright_tickets_user_id_purpose_key",
            "keywright_totp_steps.keywright_totp_steps_pkey",
            "keywright_unproven_links.keywright_unproven_links_pkey",
            "keywright_used_challenges.keywright_used_challenges_pkey",
            "provider_requests.provider_requests_pkey",
            "providers.providers_pkey",
            "refresh_tokens.refresh_tokens_pkey",
            "roles.roles_pkey",
            "user_providers.user_providers_pkey",
            "user_providers.user_providers_provider_id_provider_user_id_key",
            "user_roles.user_roles_pkey",
            "user_security_keys.user_security_keys_pkey",
            "users.users_pkey",
        ],
    ),
    (
        "the user or the row beside it went away in the same moment",
        &[
            "keywright_credentials.keywright_credentials_user_id_fkey",
            "keywright_outbox.keywright_outbox_user_id_fkey",
            "keywright_provider_refresh_tokens.keywright_provider_refresh_tokens_user_provider_id_fkey",
            "keywright_security_keys.keywright_security_keys_security_key_id_fkey",
            "keywright_tickets.keywright_tickets_user_id_fkey",
            "keywright_totp_steps.keywright_totp_steps_user_id_fkey",
            "keywright_unproven_links.keywright_unproven_links_user_id_fkey",
            "refresh_tokens.fk_user",
            "user_providers.fk_user",
            "user_roles.fk_user",
            "user_security_keys.fk_user",
        ],
    ),
    (
        "the values are the server's own, and each once",
        &[
            "refresh_tokens.refresh_tokens_types_fkey",
            "user_providers.fk_provider",
            "user_roles.user_roles_user_id_role_key",
            "users.active_mfa_types_check",
        ],
    ),
    (
        "no request writes signing keys; who does looks at what came of it",
        &[
            "keywright_signing_keys.keywright_signing_keys_current_idx",
            "keywright_signing_keys.keywright_signing_keys_next_idx",
            "keywright_signing_keys.keywright_signing_keys_pkey",
            "keywright_signing_keys.keywright_signing_keys_private_key_check",
            "keywright_signing_keys.keywright_signing_keys_state_check",
        ],
    ),
    (
        "written at the start only",
        &[
            "keywright_migrations.keywright_migrations_pkey",
            "keywright_settings.keywright_settings_pkey",
            "refresh_token_types.refresh_token_types_pkey",
            "schema_migrations.schema_migrations_pkey",
        ],
    ),
];

/// Fails as the row of `public.raised` says, whenever a user is inserted.
const RAISE: &str = "
    create table public.raised (
        code text, schema text, relation text, type text, constraint_name text, message text
    );
    create function public.raise_it() returns trigger language plpgsql as $$
    declare r public.raised;
    begin
        select * into r from public.raised;
        if found then
            raise exception using errcode = r.code, schema = r.schema, table = r.relation,
                datatype = r.type, constraint = r.constraint_name, message = r.message;
        end if;
        return new;
    end $$;
    create trigger raise_it before insert on auth.users
        for each row execute function public.raise_it()";

struct Raised<'a> {
    code: &'a str,
    schema: &'a str,
    relation: &'a str,
    constraint: &'a str,
}

impl Raised<'_> {
    async fn sign_up(&self, app: &TestApp) -> TestResponse {
        // Of a domain there is a type, else a table.
        let is_type = self.relation == "email";
        let (table, data_type) = if is_type { ("", self.relation) } else { (self.relation, "") };
        let row = [self.code, self.schema, table, data_type, self.constraint, "raised"];
        let row = row.map(|value| format!("'{value}'")).join(", ");
        let sql = format!("delete from public.raised; insert into public.raised values ({row})");
        app.database.execute(&sql).await;
        app.sign_up("ann@example.com").await
    }
}

/// The code of an error of this kind.
fn code(constraint: &Constraint) -> &'static str {
    match constraint.name {
        name if name.starts_with("fk_") => "23503",
        name if name.ends_with("_check") => "23514",
        _ => "23505",
    }
}

#[tokio::test]
async fn every_constraint_of_schema_auth_is_known() {
    let database = TestDatabase::new().await;
    let stored = database
        .text(
            "select string_agg(name, ' ' order by name) from ( \
                 select coalesce(k.relname, t.typname) || '.' || c.conname as name \
                   from pg_constraint c \
                   left join pg_class k on k.oid = c.conrelid \
                   left join pg_type t on t.oid = c.contypid \
                  where c.connamespace = 'auth'::regnamespace and c.contype in ('p', 'u', 'c', 'f', 'x') \
                 union \
                 select t.relname || '.' || k.relname \
                   from pg_index i \
                   join pg_class k on k.oid = i.indexrelid \
                   join pg_class t on t.oid = i.indrelid \
                  where i.indisunique and k.relnamespace = 'auth'::regnamespace \
             ) named",
        )
        .await
        .unwrap();
    let breakable = BREAKABLE.iter().map(|it| format!("{}.{}", it.relation, it.name));
    let unbreakable = UNBREAKABLE.iter().flat_map(|(_, names)| *names);
    let mut known: Vec<String> = breakable.chain(unbreakable.map(|it| (*it).to_owned())).collect();
    known.sort();
    let mut stored: Vec<&str> = stored.split(' ').collect();
    stored.sort_unstable();
    assert_eq!(known, stored);
}

#[tokio::test]
async fn a_constraint_is_ours_by_schema_table_and_name_and_not_by_less() {
    let app = TestApp::start(&[]).await;
    app.database.execute(RAISE).await;
    for constraint in BREAKABLE {
        let ours = Raised {
            code: code(constraint),
            schema: "auth",
            relation: constraint.relation,
            constraint: constraint.name,
        };
        let refused = ours.sign_up(&app).await;
        match constraint.violation {
            Violation::Refused(code) => {
                refused.assert_refused(code.row().status, code.row().code);
            }
            Violation::Text(text) => {
                refused.assert_refused(400, "invalid-request");
                assert_eq!(refused.json()["message"], text);
            }
            Violation::Nothing => refused.assert_refused(500, "internal-server-error"),
        }
        for others in [
            Raised { schema: "public", ..ours },
            Raised { relation: "profiles", ..ours },
            Raised { constraint: "profiles_key", ..ours },
            Raised { schema: "", relation: "", ..ours },
        ] {
            others.sign_up(&app).await.assert_refused(500, "internal-server-error");
        }
    }
}

#[tokio::test]
async fn what_fails_in_an_applications_function_is_500_and_logged_with_its_place() {
    logs::keep_security_events();
    let app = TestApp::start(&[]).await;
    app.database
        .execute(
            "create table public.profiles ( \
                 name varchar(2), number smallint, data jsonb, \
                 constraint users_email_key unique (name)); \
             insert into public.profiles (name) values ('x')",
        )
        .await;
    for (body, sqlstate, constraint) in [
        ("insert into public.profiles (name) values ('too long')", "22001", None),
        ("insert into public.profiles (name) values ('x')", "23505", Some("users_email_key")),
        ("insert into public.profiles (number) values (70000)", "22003", None),
        ("insert into public.profiles (data) values (new.display_name::jsonb)", "22P02", None),
        (r#"insert into public.profiles (data) values ('"\u0000"')"#, "22P05", None),
        ("perform 1 / 0", "22012", None),
        ("perform currval('auth.no_such_sequence')", "42P01", None),
        ("raise exception 'x' using errcode = '55000'", "55000", None),
        ("raise exception 'x' using errcode = '57014'", "57014", None),
        ("raise exception 'x' using errcode = '22001'", "22001", None),
        ("raise exception 'x' using errcode = '23505'", "23505", None),
    ] {
        app.database
            .execute(&format!(
                "create or replace function public.fail() returns trigger language plpgsql as $f$ \
                 begin {body}; return new; end $f$; \
                 drop trigger if exists fail on auth.users; \
                 create trigger fail before insert on auth.users \
                 for each row execute function public.fail()"
            ))
            .await;
        let failed = app.sign_up("ann@example.com").await;
        failed.assert_refused(500, "internal-server-error");
        let lines = logs::database_errors(failed.header("x-request-id").unwrap());
        assert_eq!(lines.len(), 1, "{body}");
        assert_eq!(lines[0]["sqlstate"], sqlstate, "{body}");
        assert_eq!(lines[0].get("constraint").map(String::as_str), constraint, "{body}");
        assert!(lines[0]["context"].contains("fail()"), "{body}: {:?}", lines[0]);
        assert!(!format!("{lines:?}").contains("ann@example.com"), "{body}: {lines:?}");
    }
}

#[tokio::test]
async fn what_an_applications_function_says_to_its_users_reaches_them_unless_errors_are_concealed()
{
    const ONLY_US: &str = "create function public.only_us() returns trigger language plpgsql as $$ \
        begin \
            if new.email like '%@elsewhere.example' then \
                raise exception 'Only for people of Example Inc.' \
                    using detail = 'internal detail', hint = 'internal hint'; \
            end if; \
            return new; \
        end $$; \
        create trigger only_us before insert or update on auth.users \
            for each row execute function public.only_us()";
    for (conceal, message) in
        [("false", "Only for people of Example Inc."), ("true", "The request payload is incorrect")]
    {
        let app = TestApp::start(&[("AUTH_CONCEAL_ERRORS", conceal)]).await;
        app.database.execute(ONLY_US).await;
        app.sign_up("ann@example.com").await.session();
        let refused = app.sign_up("ann@elsewhere.example").await;
        refused.assert_refused(400, "invalid-request");
        assert_eq!(refused.json()["message"], message);
        assert!(!refused.text.contains("internal"), "{refused:?}");
        let count = "select count(*) from auth.users where email like '%elsewhere%'";
        assert_eq!(app.database.count(count).await, 0);
    }
}

#[tokio::test]
async fn values_that_only_postgres_refuses_are_400() {
    let app = TestApp::start_on(
        Arc::new(TestDatabase::latin1().await),
        &[("AUTH_METADATA_MAX_BYTES", "1000000"), ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true")],
    )
    .await;
    let sign_up = |email: &str, options: Value| {
        app.post(
            "/signup/email-password",
            json!({"email": email, "password": PASSWORD, "options": options}),
        )
    };
    // The encoding has this one, and not those below.
    let ann = sign_up("ann@example.com", json!({"displayName": "Zoë"})).await.session();
    assert_eq!(ann.0["user"]["displayName"], "Zoë");
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for options in [
        json!({"displayName": "王小明"}),
        json!({"metadata": {"name": "王小明"}}),
        json!({"metadata": {"王": 1}}),
        json!({"metadata": {"a": number("1e-300"), "b": "\u{0}"}}),
    ] {
        let refused = sign_up("bob@example.com", options.clone()).await;
        refused.assert_refused(400, "invalid-request");
    }
    for number in ["1e-20000", "1e131072", "1e200000", "-1e-99999999999999999999"] {
        let body = format!(
            r#"{{"email":"bob@example.com","password":"{PASSWORD}","options":{{"metadata":{{"a":{number}}}}}}}"#
        );
        let request = app.request(reqwest::Method::POST, "/signup/email-password");
        let request = request.header("content-type", "application/json").body(body);
        let refused = crate::support::app::Client::send(request).await;
        refused.assert_refused(400, "invalid-request");
    }
    let anonymous = app.post("/signin/anonymous", json!({"displayName": "王小明"})).await;
    anonymous.assert_refused(400, "invalid-request");
    let guest = app.anonymous().await;
    let body = json!({"signInMethod": "email-password", "email": "bob@example.com",
        "password": PASSWORD, "options": {"displayName": "王小明"}});
    let refused = app.post_as("/user/deanonymize", guest.access_token(), body).await;
    refused.assert_refused(400, "invalid-request");
    let pat = json!({"expiresAt": "2090-01-01T00:00:00Z", "metadata": {"name": "王小明"}});
    let refused = app.post_as("/pat", ann.access_token(), pat).await;
    refused.assert_refused(400, "invalid-request");
}
