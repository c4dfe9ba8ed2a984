//! `keywright keys`, as an operator types it.

use tokio::process::Command;

use crate::support::app::settings;
use crate::support::jwt;
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;

const KEY: (&str, &str) = ("AUTH_ENCRYPTION_KEY", "000102030405060708090a0b0c0d0e0f");
const OTHER: (&str, &str) = ("AUTH_ENCRYPTION_KEY", "0f0e0d0c0b0a09080706050403020100");

/// Runs `keywright` to its end; whether it succeeded, and all that it says.
async fn run(database: &TestDatabase, words: &[&str], more: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_keywright"))
        .args(words)
        .env_clear()
        .envs(settings(&database.url(), more))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), text)
}

async fn succeeds(database: &TestDatabase, words: &[&str], more: &[(&str, &str)]) -> String {
    let (is_ok, text) = run(database, words, more).await;
    assert!(is_ok, "{words:?}: {text}");
    text
}

async fn fails(database: &TestDatabase, words: &[&str], more: &[(&str, &str)]) -> String {
    let (is_ok, text) = run(database, words, more).await;
    assert!(!is_ok, "{words:?}: {text}");
    text
}

/// The word behind "added".
fn added(text: &str) -> String {
    let mut words = text.split_whitespace().skip_while(|word| *word != "added");
    words.nth(1).expect("a key was added").to_owned()
}

#[tokio::test]
async fn an_operator_goes_from_a_shared_secret_to_a_key_pair_and_rotates_it() {
    let database = TestDatabase::new().await;
    let server = ServerProcess::start(&database, &[KEY]).await;
    let session = server.client().anonymous().await;

    let text = succeeds(&database, &["keys", "list"], &[KEY]).await;
    assert!(text.contains("HASURA_GRAPHQL_JWT_SECRET"), "{text}");
    fails(&database, &["keys", "rotate"], &[KEY]).await;
    // Nothing is sealed yet by which a wrong key could be told; the server tells.
    eventually("a server that tells", async || {
        database.count("select count(*) from auth.keywright_nodes").await == 1
    })
    .await;
    let text = fails(&database, &["keys", "add"], &[OTHER]).await;
    assert!(text.contains("AUTH_ENCRYPTION_KEY is not that of node"), "{text}");
    let text = succeeds(&database, &["keys", "add", "--alg", "ES256"], &[KEY]).await;
    let kid = added(&text);
    let hasura = r#"{"issuer":"hasura-auth","jwk_url":"http://auth.test/.well-known/jwks.json"}"#;
    assert!(text.contains(hasura), "{text}");
    let text = fails(&database, &["keys", "add"], &[KEY]).await;
    assert!(text.contains(&kid) && text.contains("next key already"), "{text}");
    let text = fails(&database, &["keys", "rotate"], &[KEY]).await;
    assert!(text.contains("may sign from") && text.contains("--now"), "{text}");
    succeeds(&database, &["keys", "rotate", "--now"], &[KEY]).await;
    eventually("a token of the new key", async || {
        let token = server.client().anonymous().await;
        jwt::header(token.access_token())["kid"] == kid.as_str()
    })
    .await;
    server.client().refresh(session.refresh_token()).await.session();

    let text = fails(&database, &["keys", "retire", &kid], &[KEY]).await;
    assert!(text.contains("rotate first"), "{text}");
    let next = added(&succeeds(&database, &["keys", "migrate", "--alg", "EdDSA"], &[KEY]).await);
    let listed = succeeds(&database, &["keys", "list"], &[KEY]).await;
    for part in [&kid, &next, "signs by itself", "current", "next"] {
        assert!(listed.contains(part), "{part} is missing in {listed}");
    }
    assert!(!listed.contains("kw1:") && !listed.contains("PRIVATE"), "{listed}");
    succeeds(&database, &["keys", "retire", &next], &[KEY]).await;
    fails(&database, &["keys", "retire", &next], &[KEY]).await;
    fails(&database, &["keys", "retire", "nobody"], &[KEY]).await;
    eventually("a doctor who agrees with the server", async || {
        let (is_well, doctor) = run(&database, &["doctor"], &[KEY]).await;
        assert!(doctor.contains(&format!("current {kid}")), "{doctor}");
        is_well && doctor.contains("1 live on this database")
    })
    .await;
}

#[tokio::test]
async fn another_encryption_key_stops_start_and_commands_by_name() {
    let database = TestDatabase::new().await;
    let kid = added(&succeeds(&database, &["keys", "add"], &[KEY]).await);
    for (words, more) in [
        (&["serve"][..], vec![OTHER]),
        (&["serve"], vec![]),
        (&["keys", "rotate", "--now"], vec![OTHER]),
        (&["doctor"], vec![OTHER]),
    ] {
        let text = fails(&database, words, &more).await;
        assert!(text.contains("AUTH_ENCRYPTION_KEY") && text.contains(&kid), "{words:?}: {text}");
        assert!(!text.contains(OTHER.1) && !text.contains("kw1:"), "{text}");
    }
    succeeds(&database, &["keys", "rotate", "--now"], &[KEY]).await;
}

#[tokio::test]
async fn a_sealed_key_opens_in_its_own_row_only() {
    let database = TestDatabase::new().await;
    let one = added(&succeeds(&database, &["keys", "add"], &[KEY]).await);
    succeeds(&database, &["keys", "rotate", "--now"], &[KEY]).await;
    let two = added(&succeeds(&database, &["keys", "add"], &[KEY]).await);
    sqlx::query(
        "update auth.keywright_signing_keys as k set private_key = other.private_key
           from auth.keywright_signing_keys as other where other.kid = $1 and k.kid = $2",
    )
    .bind(&one)
    .bind(&two)
    .execute(&mut database.connection().await)
    .await
    .unwrap();
    let text = fails(&database, &["keys", "rotate", "--now"], &[KEY]).await;
    assert!(text.contains(&two), "{text}");
}
