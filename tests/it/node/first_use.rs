//! What somebody new does first, on whichever version of Postgres runs here.

use tokio::process::Command;

use crate::support::app::{PASSWORD, settings};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;

#[tokio::test]
async fn a_server_on_an_empty_database_signs_up_refreshes_and_its_doctor_is_content() {
    let database = TestDatabase::empty().await;
    let server = ServerProcess::start(&database, &[]).await;
    let client = server.client();
    let signed_up = client.sign_up("ann@example.com").await.session();
    let refreshed = client.refresh(signed_up.refresh_token()).await.session();
    assert_eq!(refreshed.id(), signed_up.id());
    client.sign_in("ann@example.com", PASSWORD).await.session();
    let doctor = Command::new(env!("CARGO_BIN_EXE_keywright"))
        .arg("doctor")
        .env_clear()
        .envs(settings(&database.url(), &[]))
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.success(), "{text}");
    let version = database.text("select current_setting('server_version')").await.unwrap();
    let number = version.split(' ').next().unwrap();
    assert!(text.contains(number), "{number}: {text}");
}
