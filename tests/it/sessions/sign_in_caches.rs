//! What a sign-in wrote is in memory at its first refresh, and never wrong.

use std::sync::Arc;

use keywright::domain::ids::UserId;
use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::postgres::TestDatabase;
use crate::support::smtp::eventually;
use crate::support::statements::Statements;

/// A server whose statements are noted and whose caches are served.
async fn start() -> (TestApp, Statements) {
    let direct = TestDatabase::new().await;
    let statements = Statements::to(&direct.url()).await;
    let app = TestApp::start_on(Arc::new(statements.way_to(&direct)), &[]).await;
    eventually("the caches", async || app.app().actors.sessions.users().is_served()).await;
    (app, statements)
}

/// A personal access token of a new user.
async fn pat(app: &TestApp, email: &str) -> Value {
    let session = app.sign_up(email).await.session();
    let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
    let made = app.post_as("/pat", session.access_token(), body).await.json();
    json!({"personalAccessToken": made["personalAccessToken"]})
}

#[tokio::test]
async fn the_first_refresh_of_a_session_is_one_statement() {
    let (app, statements) = start().await;
    app.sign_up("una@example.com").await.session();
    let pat = pat(&app, "pat@example.com").await;
    // Prepares what is prepared once.
    app.refresh(app.anonymous().await.refresh_token()).await.session();
    for way in ["anonymous", "sign-up", "password", "personal access token"] {
        let mut round = 0;
        // The lease may run out on a machine that is busy with something else.
        eventually(way, async || {
            round += 1;
            let session = match way {
                "anonymous" => app.anonymous().await,
                "sign-up" => app.sign_up(&format!("ola{round}@example.com")).await.session(),
                "password" => app.sign_in("una@example.com", PASSWORD).await.session(),
                _ => app.post("/signin/pat", pat.clone()).await.session(),
            };
            let is_served = || app.app().actors.sessions.users().is_served();
            let served_before = is_served();
            statements.begin();
            let next = app.refresh(session.refresh_token()).await.session();
            let noted = statements.noted();
            assert_eq!(next.0["user"], session.0["user"], "{way}");
            if !(served_before && is_served()) {
                return false;
            }
            assert_eq!(noted.len(), 1, "{way}: {noted:?}");
            assert!(noted[0].contains("update auth.refresh_tokens"), "{way}: {noted:?}");
            true
        })
        .await;
    }
}

/// Sign-ups would wait for each other's commits.
#[tokio::test]
async fn sign_ups_and_sign_ins_notify_nobody() {
    let app = TestApp::start(&[]).await;
    let mut listener = PgListener::connect(&app.database.url()).await.unwrap();
    listener.listen("keywright_changes").await.unwrap();
    app.anonymous().await;
    app.sign_up("una@example.com").await.session();
    app.sign_in("una@example.com", PASSWORD).await.session();
    let pat = pat(&app, "pat@example.com").await;
    app.post("/signin/pat", pat).await.session();
    app.database.execute("select pg_notify('keywright_changes', 'all')").await;
    assert_eq!(told(&mut listener).await, "all");
}

/// What the feed is told next, but for what it tells itself.
async fn told(listener: &mut PgListener) -> String {
    loop {
        let told = listener.recv().await.unwrap().payload().to_owned();
        if !told.starts_with("beat:") {
            return told;
        }
    }
}

/// The silence is for the user alone whom the same transaction inserted.
#[tokio::test]
async fn roles_of_users_who_were_there_before_are_told() {
    let app = TestApp::start(&[]).await;
    let user = app.anonymous().await.user_id();
    let mut listener = PgListener::connect(&app.database.url()).await.unwrap();
    listener.listen("keywright_changes").await.unwrap();
    let insert = format!("insert into auth.user_roles (user_id, role) values ('{user}', 'me')");
    let other = uuid::Uuid::new_v4();
    let in_company = format!(
        "begin;
         select set_config('keywright.new_user', '{other}', true);
         insert into auth.users (id, locale) values ('{other}', 'en');
         insert into auth.user_roles (user_id, role) values ('{other}', 'me');
         {insert};
         commit"
    );
    let delete = format!("delete from auth.user_roles where user_id = '{user}' and role = 'me'");
    for sql in [insert.as_str(), &delete, &in_company] {
        app.database.execute(sql).await;
        assert_eq!(told(&mut listener).await, format!("user:{user}"), "{sql}");
    }
}

/// However late what a sign-in read comes to the cache.
#[tokio::test]
async fn a_user_who_changed_since_the_statement_of_a_sign_in_is_not_cached() {
    let app = TestApp::start(&[]).await;
    let sessions = &app.app().actors.sessions;
    eventually("the caches", async || sessions.users().is_served()).await;
    let user_id = UserId(app.anonymous().await.user_id());
    for (round, by) in [Some(user_id), None].into_iter().enumerate() {
        let read = sessions.user(user_id).await.unwrap().unwrap().user.clone();
        let seen = sessions.seen(by);
        sessions.written(read.clone(), seen);
        assert!(sessions.users().get(user_id).is_some(), "nothing happened");
        let change = format!("update auth.users set display_name = 'name {round}'");
        app.database.execute(&change).await;
        eventually("the change", async || sessions.users().get(user_id).is_none()).await;
        sessions.written(read, seen);
        assert!(sessions.users().get(user_id).is_none(), "{by:?}");
    }
}

#[tokio::test]
async fn a_user_whom_somebody_disables_right_after_a_sign_in_is_refused_at_the_refresh() {
    let (app, _statements) = start().await;
    for _ in 0..10 {
        let session = app.anonymous().await;
        let disable =
            format!("update auth.users set disabled = true where id = '{}'", session.user_id());
        app.database.execute(&disable).await;
        let user_id = UserId(session.user_id());
        let users = app.app().actors.sessions.users();
        eventually("the change", async || users.get(user_id).is_none()).await;
        let response = app.refresh(session.refresh_token()).await;
        response.assert_refused(401, "disabled-user");
    }
}

/// Triggers run after a statement has read what it returns.
#[tokio::test]
async fn what_triggers_of_an_application_do_to_a_user_is_in_the_session() {
    let app = TestApp::start(&[]).await;
    app.sign_up("una@example.com").await.session();
    app.database
        .execute(
            "create function public.welcome() returns trigger language plpgsql as $$
             begin
                 insert into auth.user_roles (user_id, role, created_at)
                 values (new.id, 'editor', now() + interval '1 day') on conflict do nothing;
                 return null;
             end $$;
             create trigger welcome after insert on auth.users
             for each row execute function public.welcome();
             create function public.note() returns trigger language plpgsql as $$
             begin
                 update auth.users set metadata = '{\"noted\": true}' where id = new.user_id;
                 return new;
             end $$;
             create trigger note before insert on auth.refresh_tokens
             for each row execute function public.note();",
        )
        .await;
    let guest = app.anonymous().await;
    assert_eq!(guest.0["user"]["roles"], json!(["anonymous", "editor"]));
    assert_eq!(guest.0["user"]["metadata"], json!({"noted": true}));
    eventually("the change", async || {
        let una = app.sign_in("una@example.com", PASSWORD).await.session();
        una.0["user"]["metadata"] == json!({"noted": true})
    })
    .await;
}

/// Those of Hasura's events write into Hasura's own tables.
#[tokio::test]
async fn triggers_of_hasura_cost_no_statement() {
    let (app, statements) = start().await;
    app.database
        .execute(
            "create schema hdb_catalog;
             create table hdb_catalog.event_log (payload jsonb);
             create function hdb_catalog.\"notify_hasura_new_user_INSERT\"() returns trigger
             language plpgsql as $$
             begin
                 insert into hdb_catalog.event_log values (to_jsonb(new));
                 return null;
             end $$;
             grant usage on schema hdb_catalog to public;
             grant insert on hdb_catalog.event_log to public;
             create trigger \"notify_hasura_new_user_INSERT\" after insert on auth.users
             for each row execute function hdb_catalog.\"notify_hasura_new_user_INSERT\"();",
        )
        .await;
    app.anonymous().await;
    statements.begin();
    app.anonymous().await;
    let noted = statements.noted();
    assert_eq!(noted.len(), 1, "{noted:?}");
    assert_eq!(app.database.count("select count(*) from hdb_catalog.event_log").await, 2);
}

/// A role that nobody has made is refused with its own code, as ever.
#[tokio::test]
async fn a_sign_up_with_a_role_that_does_not_exist_leaves_nothing() {
    let app = TestApp::start(&[("AUTH_USER_DEFAULT_ALLOWED_ROLES", "me,user,gone")]).await;
    app.database.execute("delete from auth.roles where role = 'gone'").await;
    app.sign_up("una@example.com").await.assert_refused(400, "role-not-allowed");
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
}
