//! Every level of the reference, both bookkeepings, and Nhost Auth, end in one schema.

use keywright::config::StorageCompatibility;
use keywright::passwords::PasswordForm;
use keywright::persistence::adopt::Situation;
use keywright::persistence::migrate::{migrate, seed_roles};
use keywright::persistence::settings::{self, Origin};
use sqlx::PgConnection;

use super::fixtures::*;
use crate::support::postgres::TestDatabase;

/// What the reference runs to sign a user up and to rotate a token, in its shape.
async fn reference_works(conn: &mut PgConnection) {
    let (id, email): (uuid::Uuid, String) = sqlx::query_as(
        "with inserted_user as (
             insert into auth.users (disabled, display_name, avatar_url, email, password_hash,
                 ticket, ticket_expires_at, email_verified, locale, default_role, metadata, last_seen)
             values (false, 'New', '', 'new@example.com', $1, null, now(), true, 'en', 'user',
                     '{}', now())
             returning *
         ), inserted_token as (
             insert into auth.refresh_tokens (user_id, refresh_token_hash, expires_at)
             select inserted_user.id, 'hash-1', now() + interval '1 day' from inserted_user
             returning id
         ), inserted_roles as (
             insert into auth.user_roles (user_id, role)
             select inserted_user.id, roles.role from inserted_user, unnest(array['user', 'me']) as roles (role)
         )
         select inserted_user.id, email::text from inserted_user, inserted_token",
    )
    .bind(BCRYPT)
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    assert_eq!(email, "new@example.com");
    let rotated: Vec<Option<String>> = sqlx::query_scalar(
        "with refreshed as (
             update auth.refresh_tokens set refresh_token_hash = 'hash-2',
                 expires_at = now() + interval '1 day'
             where refresh_token_hash = 'hash-1' returning id, user_id
         ), seen as (
             update auth.users set last_seen = now() from refreshed
             where auth.users.id = refreshed.user_id
         )
         select role from refreshed left join auth.user_roles using (user_id)",
    )
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    assert_eq!(rotated.len(), 2);
    let same =
        sqlx::query("insert into auth.users (locale, email) values ('en', 'NEW@example.com')")
            .execute(&mut *conn)
            .await
            .unwrap_err();
    assert_eq!(same.as_database_error().unwrap().constraint(), Some("users_email_key"));
    sqlx::query("delete from auth.users where id = $1").bind(id).execute(conn).await.unwrap();
}

async fn old_rows_are_kept(conn: &mut PgConnection, from: i64) {
    let (hash, id): (String, String) = sqlx::query_as(
        "select refresh_token_hash, id::text from auth.refresh_tokens where user_id::text = $1
         and refresh_token_hash = '\\x' || encode(sha256($2::bytea), 'hex') and type = 'regular'",
    )
    .bind(OLD_TOKEN_USER)
    .bind(OLD_TOKEN.as_bytes())
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    assert_eq!(hash.len(), 66);
    assert_ne!(id, OLD_TOKEN, "from level {from}: the secret is no longer readable");
    let password: String =
        sqlx::query_scalar("select password_hash from auth.users where email = 'old@example.com'")
            .fetch_one(conn)
            .await
            .unwrap();
    assert_eq!(password, BCRYPT);
}

#[tokio::test]
async fn an_empty_database_becomes_ours_once() {
    let db = TestDatabase::empty().await;
    let report = migrate(&db.config()).await.unwrap();
    assert_eq!(report.found, Situation::Empty { schema: false });
    assert_eq!((report.origin, report.level), (Origin::Created, 18));
    assert_eq!(report.levels, (1..=18).collect::<Vec<_>>());
    let again = migrate(&db.config()).await.unwrap();
    assert_eq!((again.found, again.origin), (Situation::Current, Origin::Created));
    assert!(!again.is_change(), "{again}");

    let pool = db.pool().await;
    reference_works(&mut pool.acquire().await.unwrap()).await;
    let storage = settings::storage_compatibility(&pool, None).await.unwrap();
    assert_eq!(storage, StorageCompatibility::Keywright);
    let forms = settings::password_forms(&pool).await.unwrap();
    assert!(!forms.bcrypt && !forms.argon2id);
    settings::record_password_form(&pool, PasswordForm::Argon2id).await.unwrap();
    assert!(settings::password_forms(&pool).await.unwrap().argon2id);
    let wanted = ["user", "editor", "editor"].map(str::to_owned);
    assert_eq!(seed_roles(&pool, &wanted).await.unwrap(), ["editor"]);
    assert!(seed_roles(&pool, &wanted).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_new_database_has_the_names_and_the_order_of_the_reference() {
    let db = TestDatabase::new().await;
    let facts = structure(&mut db.connection().await).await;
    for fact in [
        "order provider_requests id,-,options",
        "order refresh_tokens id,created_at,expires_at,user_id,-,metadata,type,\
         refresh_token_hash,keywright_rotated_at,keywright_pat_id,keywright_until,keywright_key_id",
        "order user_security_keys id,user_id,credential_id,credential_public_key,counter,\
         transports,nickname",
        "column users.id uuid notnull=t public.gen_random_uuid() gen=",
        "column users.locale character varying(2) notnull=t  gen=",
        "column users.email auth.email notnull=f  gen=",
        "column refresh_tokens.id uuid notnull=t gen_random_uuid() gen=",
        "column refresh_tokens.type text notnull=t 'regular'::text gen=",
        "constraint users users_email_key UNIQUE (email)",
        "constraint users fk_default_role FOREIGN KEY (default_role) REFERENCES \
         auth.roles(role) ON UPDATE CASCADE ON DELETE RESTRICT",
        "constraint refresh_tokens refresh_tokens_types_fkey FOREIGN KEY (type) REFERENCES \
         auth.refresh_token_types(value) ON UPDATE RESTRICT ON DELETE RESTRICT",
        "constraint user_providers user_providers_provider_id_provider_user_id_key UNIQUE \
         (provider_id, provider_user_id)",
        "constraint user_security_keys user_security_key_credential_id_key UNIQUE (credential_id)",
        "index CREATE INDEX refresh_tokens_refresh_token_hash_expires_at_user_id_idx ON \
         auth.refresh_tokens USING btree (refresh_token_hash, expires_at, user_id)",
        "level 18 f",
    ] {
        assert!(facts.iter().any(|line| line == fact), "no {fact:?} in\n{}", facts.join("\n"));
    }
    assert_eq!(facts.iter().filter(|line| line.starts_with("provider ")).count(), 16);
    assert!(!facts.iter().any(|line| line.contains("user_providers_user_id_provider_id_key")));
}

#[tokio::test]
async fn every_level_of_both_eras_ends_in_the_schema_of_a_new_database() {
    let expected = structure(&mut TestDatabase::new().await.connection().await).await;
    for level in 1..=18 {
        for node in [false, true] {
            if node && level == 18 {
                continue;
            }
            let db = TestDatabase::empty().await;
            let mut conn = db.connection().await;
            make_levels(&mut conn, level).await;
            add_old_rows(&mut conn, level).await;
            if node {
                say_node_level(&mut conn, level).await;
            } else {
                say_level(&mut conn, level, false).await;
            }
            let report = migrate(&db.config()).await.unwrap();
            assert_eq!(report.origin, Origin::Adopted);
            assert_eq!(report.levels, (level + 1..=18).collect::<Vec<_>>());
            assert_eq!(report.token_ids_replaced, u64::from(level < 15));
            assert_eq!(structure(&mut conn).await, expected, "from level {level}, node: {node}");
            old_rows_are_kept(&mut conn, level).await;
            reference_works(&mut conn).await;
            let storage = settings::storage_compatibility(&mut conn, None).await.unwrap();
            assert_eq!(storage, StorageCompatibility::Reference);
            assert!(settings::password_forms(&mut conn).await.unwrap().bcrypt);
        }
    }
}

#[tokio::test]
async fn a_database_of_nhost_auth_keeps_its_level_and_its_additions() {
    let db = TestDatabase::empty().await;
    let mut conn = db.connection().await;
    make_levels(&mut conn, 18).await;
    run(
        &mut conn,
        "alter table auth.users alter column locale type varchar(3),
             add column otp_attempts smallint not null default 0,
             add column new_phone_number text;",
    )
    .await;
    say_level(&mut conn, 27, false).await;
    let report = migrate(&db.config()).await.unwrap();
    assert_eq!(report.found, Situation::NhostAuth { level: 27 });
    assert_eq!((report.origin, report.level), (Origin::Adopted, 27));
    let facts = structure(&mut conn).await;
    assert!(facts.contains(&"level 27 f".to_owned()));
    assert!(facts.iter().any(|f| f.starts_with("column users.locale character varying(3)")));
    reference_works(&mut conn).await;
}

#[tokio::test]
async fn nhost_auth_can_still_migrate_a_database_that_we_made() {
    let db = TestDatabase::new().await;
    run(&mut db.connection().await, "alter table auth.users alter column locale type varchar(3)")
        .await;
}

#[tokio::test]
async fn interrupted_steps_that_are_complete_or_repeatable_are_finished() {
    let expected = structure(&mut TestDatabase::new().await.connection().await).await;
    for (made, said) in [(12, 12), (15, 16), (18, 18), (4, 5)] {
        let db = TestDatabase::empty().await;
        let mut conn = db.connection().await;
        make_levels(&mut conn, made).await;
        say_level(&mut conn, said, true).await;
        let report = migrate(&db.config()).await.unwrap();
        assert_eq!(report.found, Situation::Interrupted { level: said });
        assert_eq!(structure(&mut conn).await, expected, "made {made}, dirty at {said}");
    }
}

#[tokio::test]
async fn two_nodes_that_start_at_once_migrate_once() {
    let db = TestDatabase::empty().await;
    let config = db.config();
    let (a, b, c) = tokio::join!(migrate(&config), migrate(&config), migrate(&config));
    let changed = [a, b, c].into_iter().filter(|report| report.as_ref().unwrap().is_change());
    assert_eq!(changed.count(), 1);
}

#[tokio::test]
async fn all_nodes_get_the_rotation_key_of_the_first() {
    use secrecy::ExposeSecret;
    let db = TestDatabase::new().await;
    let pool = db.pool().await;
    let (first, second) = tokio::join!(
        settings::get_or_create_key(&pool, settings::StoredKey::Rotation, [1; 32]),
        settings::get_or_create_key(&pool, settings::StoredKey::Rotation, [2; 32])
    );
    let first = *first.unwrap().expose_secret();
    assert_eq!(first, *second.unwrap().expose_secret());
    assert!(first == [1; 32] || first == [2; 32]);
}
