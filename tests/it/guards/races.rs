//! What happens between a proof and the session that rests on it, and attempts that are made at once.

use std::sync::Arc;

use futures_util::future::{join, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use keywright::domain::clock::Clock;
use keywright::tokens::ticket::{Ticket, TicketKind};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::app::{Client, PASSWORD, TestApp};
use crate::support::ceremonies;
use crate::support::gate::{Gate, Verdict};
use crate::support::postgres::TestDatabase;
use crate::support::providers::Providers;
use crate::support::providers::social::Social;
use crate::support::security_key::SecurityKey;
use crate::support::smtp::eventually;

const ROUNDS: usize = 100;
const EMAIL: &str = "ann@example.com";
const INSERT: &str = "insert into auth.refresh_tokens";

/// Two nodes; statements of the first with a certain word wait at a gate.
struct Race {
    gated: TestApp,
    other: TestApp,
    gate: Gate,
    changed: Arc<Notify>,
    database: Arc<TestDatabase>,
}

impl Race {
    async fn start(word: &'static str) -> Self {
        let database = Arc::new(TestDatabase::new().await);
        let (clock, changed) = (Clock::system(), Arc::new(Notify::new()));
        let gate = Gate::to(&database.url(), word, Arc::clone(&changed)).await;
        let behind = Arc::new(TestDatabase::at(gate.url(database.name()), database.name()));
        let settings = [ceremonies::ON];
        let gated = TestApp::start_at(behind, clock.clone(), &settings).await;
        let other = TestApp::start_at(Arc::clone(&database), clock, &settings).await;
        other.sign_up(EMAIL).await.session();
        Self { gated, other, gate, changed, database }
    }

    /// Until a statement waits at the gate.
    async fn someone_waits(&self) {
        loop {
            let changed = self.changed.notified();
            if self.gate.waiting().is_some() {
                return;
            }
            changed.await;
        }
    }

    /// Lets what waits pass, and everything after it.
    fn pass(&self) {
        self.gate.decide(Verdict::Pass);
        self.gate.open();
    }

    /// Until the session of a sign-in waits for the row of its user.
    async fn session_waits_for_the_user(&self) {
        let waiting = format!(
            "select count(*) from pg_stat_activity
              where datname = current_database() and wait_event_type = 'Lock'
                and query like '%{INSERT}%'"
        );
        eventually("a session to wait", async || self.database.count(&waiting).await == 1).await;
    }

    async fn sessions(&self) -> i64 {
        self.database.count("select count(*) from auth.refresh_tokens where type <> 'pat'").await
    }

    /// A ticket for a reset, as it would be mailed.
    async fn reset_ticket(&self) -> Ticket {
        let ticket = Ticket::generate(TicketKind::PasswordReset);
        let hash = keywright::domain::random_secret::hex(&ticket.hash());
        let insert = format!(
            "insert into auth.keywright_tickets
                    (ticket_hash, user_id, purpose, created_at, expires_at)
             select decode('{hash}', 'hex'), id, 'passwordReset', now(), now() + interval '1 hour'
               from auth.users where email = '{EMAIL}'"
        );
        self.database.execute(&insert).await;
        ticket
    }

    async fn end_sessions(&self) {
        self.database.execute("delete from auth.refresh_tokens where type <> 'pat'").await;
    }
}

/// The password after so many resets.
fn password(resets: usize) -> String {
    if resets == 0 { PASSWORD.to_owned() } else { format!("{PASSWORD}-{resets}") }
}

async fn reset(client: &Client, ticket: &Ticket, new: &str) {
    let body = json!({"ticket": ticket.expose(), "newPassword": new});
    client.post("/user/password", body).await.assert_ok();
}

#[tokio::test]
async fn an_old_password_starts_no_session_after_a_reset_that_came_between() {
    let race = Race::start(INSERT).await;
    for round in 0..ROUNDS {
        let (old, new) = (password(round), password(round + 1));
        let ticket = race.reset_ticket().await;
        race.gate.close();
        let resetting = async {
            race.someone_waits().await;
            reset(&race.other, &ticket, &new).await;
            race.pass();
        };
        let (response, ()) = join(race.gated.sign_in(EMAIL, &old), resetting).await;
        response.assert_refused(401, "invalid-email-password");
        assert_eq!(race.sessions().await, 0, "round {round}");
    }
    race.gated.sign_in(EMAIL, &password(ROUNDS)).await.session();
}

#[tokio::test]
async fn an_old_password_starts_no_session_while_a_reset_commits() {
    // The first node holds the row of the user, for its statement that ends the sessions waits.
    let race = Race::start("id is distinct from").await;
    for round in 0..ROUNDS {
        let (old, new) = (password(round), password(round + 1));
        let ticket = race.reset_ticket().await;
        race.gate.close();
        let signing_in = async {
            race.someone_waits().await;
            let between = async {
                race.session_waits_for_the_user().await;
                race.pass();
            };
            join(race.other.sign_in(EMAIL, &old), between).await.0
        };
        let ((), response) = join(reset(&race.gated, &ticket, &new), signing_in).await;
        response.assert_refused(401, "invalid-email-password");
        assert_eq!(race.sessions().await, 0, "round {round}");
    }
    race.other.sign_in(EMAIL, &password(ROUNDS)).await.session();
}

#[tokio::test]
async fn an_old_password_leads_to_no_second_factor_after_a_reset_that_came_between() {
    let race = Race::start("insert into auth.keywright_tickets").await;
    race.database.execute("update auth.users set active_mfa_type = 'totp'").await;
    for round in 0..ROUNDS {
        let (old, new) = (password(round), password(round + 1));
        let ticket = race.reset_ticket().await;
        race.gate.close();
        let resetting = async {
            race.someone_waits().await;
            reset(&race.other, &ticket, &new).await;
            race.pass();
        };
        let (response, ()) = join(race.gated.sign_in(EMAIL, &old), resetting).await;
        response.assert_refused(401, "invalid-email-password");
        let tickets = "select count(*) from auth.keywright_tickets";
        assert_eq!(race.database.count(tickets).await, 0, "round {round}");
    }
}

#[tokio::test]
async fn a_user_who_is_disabled_meanwhile_gets_no_session() {
    let race = Race::start(INSERT).await;
    race.end_sessions().await;
    let mut administrator = race.database.connection().await;
    for round in 0..ROUNDS {
        sqlx::raw_sql("begin; update auth.users set disabled = true")
            .execute(&mut administrator)
            .await
            .unwrap();
        let disabling = async {
            race.session_waits_for_the_user().await;
            sqlx::raw_sql("commit").execute(&mut administrator).await.unwrap();
        };
        let (response, ()) = join(race.other.sign_in(EMAIL, PASSWORD), disabling).await;
        response.assert_refused(401, "disabled-user");
        assert_eq!(race.sessions().await, 0, "round {round}");
        race.database.execute("update auth.users set disabled = false").await;
    }
    race.other.sign_in(EMAIL, PASSWORD).await.session();
}

#[tokio::test]
async fn a_personal_access_token_that_is_deleted_meanwhile_starts_no_session() {
    let race = Race::start(INSERT).await;
    let body = json!({"expiresAt": "2099-01-01T00:00:00Z"});
    for round in 0..ROUNDS {
        let session = race.other.sign_in(EMAIL, PASSWORD).await.session();
        let made = race.other.post_as("/pat", session.access_token(), body.clone()).await.json();
        race.end_sessions().await;
        race.gate.close();
        let deleting = async {
            race.someone_waits().await;
            race.database.execute("delete from auth.refresh_tokens").await;
            race.pass();
        };
        let token = json!({"personalAccessToken": made["personalAccessToken"]});
        let (response, ()) = join(race.gated.post("/signin/pat", token), deleting).await;
        response.assert_refused(401, "invalid-pat");
        assert_eq!(race.sessions().await, 0, "round {round}");
    }
}

#[tokio::test]
async fn a_security_key_that_is_removed_meanwhile_starts_no_session() {
    let race = Race::start(INSERT).await;
    for round in 0..ROUNDS {
        let session = race.other.sign_in(EMAIL, PASSWORD).await.session();
        let mut key = SecurityKey::new();
        let added = ceremonies::add_key(&race.other, session.access_token(), &mut key, "").await;
        assert_eq!(added.status, 200, "{added:?}");
        race.end_sessions().await;
        let options = ceremonies::begin_sign_in(&race.gated, Some(EMAIL)).await;
        race.gate.close();
        let removing = async {
            race.someone_waits().await;
            race.database.execute("delete from auth.user_security_keys").await;
            race.pass();
        };
        let assertion = key.get(&options);
        let signing_in = ceremonies::finish_sign_in(&race.gated, &assertion);
        let (response, ()) = join(signing_in, removing).await;
        response.assert_refused(400, "invalid-request");
        assert_eq!(race.sessions().await, 0, "round {round}");
    }
}

#[tokio::test]
async fn an_identity_that_is_removed_meanwhile_starts_no_session() {
    let race = Race::start(INSERT).await;
    let behind = TestDatabase::at(race.gate.url(race.database.name()), race.database.name());
    let social = Social::start_on(behind, Providers::start().await, &["github"], &[]).await;
    for round in 0..ROUNDS {
        social.sign_in("github", &[]).await.refresh_token();
        race.end_sessions().await;
        race.gate.close();
        let removing = async {
            race.someone_waits().await;
            race.database.execute("delete from auth.user_providers").await;
            race.pass();
        };
        let (final_page, ()) = join(social.sign_in("github", &[]), removing).await;
        assert_eq!(final_page.error(), "invalid-email-password", "round {round}");
        assert_eq!(race.sessions().await, 0, "round {round}");
        race.database.execute("delete from auth.users where email <> 'ann@example.com'").await;
    }
}

#[tokio::test]
async fn sign_ins_that_bring_one_hash_up_to_date_at_once_all_succeed() {
    let app = TestApp::start(&[]).await;
    app.sign_up(EMAIL).await.session();
    let settings = [("AUTH_PASSWORD_ARGON2_ITERATIONS", "2")];
    let strict = TestApp::start_on(Arc::clone(&app.database), &settings).await;
    let stored = app.database.text("select password_hash from auth.users").await.unwrap();
    for _ in 0..10 {
        let reset = format!("update auth.users set password_hash = '{stored}'");
        app.database.execute(&reset).await;
        for response in join_all((0..16).map(|_| strict.sign_in(EMAIL, PASSWORD))).await {
            response.session();
        }
        let now = app.database.text("select password_hash from auth.users").await.unwrap();
        assert_ne!(now, stored);
    }
}

#[tokio::test]
async fn of_a_hundred_guesses_at_once_the_limit_is_judged() {
    const LIMIT: usize = 20;
    let app = TestApp::start(&[("AUTH_ACCOUNT_ATTEMPTS_INTERVAL", "24h")]).await;
    for round in 0..ROUNDS {
        let email = format!("ann-{round}@example.com");
        app.sign_up(&email).await.session();
        let mut guesses: FuturesUnordered<_> =
            (0..100).map(|_| app.sign_in(&email, "wrong-Passw0rd")).collect();
        // One time the right one is among them, one time it comes when the limit is reached.
        let (judged, right) = if round % 2 == 0 {
            let (right, wrong) =
                join(app.sign_in(&email, PASSWORD), guesses.by_ref().collect::<Vec<_>>()).await;
            (wrong.iter().filter(|response| response.status != 429).count(), right)
        } else {
            let (mut judged, mut right) = (0, None);
            while let Some(response) = guesses.next().await {
                if response.status != 429 {
                    judged += 1;
                } else if right.is_none() {
                    right = Some(app.sign_in(&email, PASSWORD).await);
                }
            }
            let right = right.unwrap();
            assert_eq!(right.status, 429, "{right:?}");
            (judged, right)
        };
        if right.status == 429 {
            assert_eq!(judged, LIMIT, "round {round}");
            app.sign_in(&email, PASSWORD).await.assert_refused(429, "too-many-requests");
        } else {
            // It starts the count anew, so there are as many again after it.
            right.session();
            assert!(judged < 2 * LIMIT, "round {round}: {judged}");
        }
    }
}
