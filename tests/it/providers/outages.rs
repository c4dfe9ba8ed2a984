//! Postgres goes away, or the settings change, while people are at a provider.

use std::sync::Arc;

use rustix::process::Signal;
use tokio::sync::Barrier;

use crate::support::env_file::EnvFile;
use crate::support::link::{Fault as Cut, Link, On};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::providers::browser::{Browser, FinalPage};
use crate::support::providers::social::{Social, callback, start};
use crate::support::providers::{Endpoint, Fault, Providers, SERVER_URL};
use crate::support::smtp::eventually;

/// A server that does not wait long for Postgres.
const HASTY: &[(&str, &str)] =
    &[("AUTH_POSTGRES_ACQUIRE_TIMEOUT", "1s"), ("AUTH_ACTOR_CALL_TIMEOUT", "1s")];

/// A server, a network to Postgres that can fail, and another way for the test to look.
async fn behind_link() -> (TestDatabase, Link, Social) {
    let database = TestDatabase::new().await;
    let link = Link::to(&database.url()).await;
    let linked = TestDatabase::at(link.url(database.name()), database.name());
    let social = Social::start_on(linked, Providers::start().await, &["github"], HASTY).await;
    (database, link, social)
}

async fn nothing_is_written(database: &TestDatabase) {
    let rows =
        "select (select count(*) from auth.users) + (select count(*) from auth.user_providers)
                     + (select count(*) from auth.refresh_tokens)";
    assert_eq!(database.count(rows).await, 0);
}

/// The network is well, and the server has noticed.
async fn mend(link: &Link, social: &Social) {
    link.set(Cut::None);
    eventually("ready", async || social.app.get("/healthz").await.status == 200).await;
}

fn assert_told_in_redirect(final_page: &FinalPage) {
    assert_eq!(final_page.error(), "service-unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_begins_without_postgres_is_told_to_the_application() {
    let (database, link, social) = behind_link().await;
    link.set(Cut::Cut(On::All));
    let final_page = social.sign_in("github", &[]).await;
    assert_told_in_redirect(&final_page);
    assert!(final_page.last().header("set-cookie").is_none());
    assert!(social.providers.at("github").authorizations().is_empty());
    mend(&link, &social).await;
    nothing_is_written(&database).await;
    social.sign_in("github", &[]).await.refresh_token();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_without_postgres_uses_nothing_up() {
    let (database, link, social) = behind_link().await;
    let (mut browser, step) = social.to_callback("github", &[]).await;
    link.set(Cut::Cut(On::All));
    assert_told_in_redirect(&browser.follow(&step).await);
    assert!(social.providers.at("github").calls(Endpoint::Token).is_empty());
    nothing_is_written(&database).await;
    mend(&link, &social).await;
    // The person goes back, and forth again.
    browser.follow(&step).await.refresh_token();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_goes_while_the_provider_responds_leaves_no_half_an_account() {
    let (database, link, social) = behind_link().await;
    let (mut browser, step) = social.to_callback("github", &[]).await;
    let meeting = Arc::new(Barrier::new(2));
    social.providers.at("github").fail(Endpoint::Profile, Fault::Together(meeting.clone()));
    let cutting = async {
        let asked = async || !social.providers.at("github").calls(Endpoint::Profile).is_empty();
        eventually("the profile to be asked for", asked).await;
        link.set(Cut::Cut(On::All));
        meeting.wait().await;
    };
    let (final_page, ()) = tokio::join!(browser.follow(&step), cutting);
    assert_told_in_redirect(&final_page);
    nothing_is_written(&database).await;
    social.providers.at("github").recover();
    mend(&link, &social).await;
    // The provider's code is used up, and so is the state.
    assert_eq!(browser.follow(&step).await.error(), "invalid-state");
    social.sign_in("github", &[]).await.refresh_token();
    assert_eq!(database.count("select count(*) from auth.users").await, 1);
}

/// Settings as they stand in an env file.
fn lines(settings: &[(String, String)]) -> String {
    let lines: Vec<_> = settings.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
    lines.join("\n")
}

#[tokio::test]
async fn a_reload_switches_providers_on_and_off_and_keeps_the_old_ones_if_it_is_wrong() {
    let (database, providers) = (TestDatabase::new().await, Providers::start().await);
    let file = EnvFile::new(&lines(&providers.settings(&["github"])));
    let more = [("AUTH_ENV_FILE", file.path()), ("AUTH_SERVER_URL", SERVER_URL)];
    let server = ServerProcess::start(&database, &more).await;
    let browser = || Browser::new(SERVER_URL, server.client().base());
    let error = async |provider: &str| {
        browser().follow(&start(provider, &[])).await.query().remove("error")
    };
    assert_eq!(error("gitlab").await.as_deref(), Some("disabled-endpoint"));
    assert_eq!(error("github").await, None);
    let mut late = browser();
    let step = callback(&mut late, &start("github", &[])).await;

    file.write(&lines(&providers.settings(&["gitlab"])));
    server.signal(Signal::HUP);
    eventually("the other provider", async || error("gitlab").await.is_none()).await;
    assert_eq!(error("github").await.as_deref(), Some("disabled-endpoint"));
    // Who is on the way back from one that is off now does not come in.
    assert_eq!(late.follow(&step).await.error(), "disabled-endpoint");

    let mut wrong = providers.settings(&["github"]);
    wrong.push(("AUTH_PROVIDER_GITHUB_TOKEN_URL".to_owned(), "nowhere".to_owned()));
    file.write(&lines(&wrong));
    server.signal(Signal::HUP);
    eventually("the complaint", async || {
        server.log().iter().any(|line| line["setting"] == "AUTH_PROVIDER_GITHUB_TOKEN_URL")
    })
    .await;
    assert_eq!(error("gitlab").await, None);
    assert_eq!(error("github").await.as_deref(), Some("disabled-endpoint"));
}
