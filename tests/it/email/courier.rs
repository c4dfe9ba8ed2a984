//! The outbox and its courier: what was promised arrives, once.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use keywright::actors::courier::{Courier, CourierArgs, CourierMsg, CourierOptions};
use keywright::config::SmtpAuthMethod;
use keywright::domain::clock::Clock;
use keywright::domain::ids::MessageId;
use keywright::domain::mail::{MailTemplate, MailVariables, NewMessage};
use keywright::persistence::measured_pool::MeasuredPool;
use keywright::persistence::outbox;
use ractor::{Actor, ActorRef};

use super::smtp::sender_from;
use crate::support::postgres::TestDatabase;
use crate::support::smtp::{Fault, SmtpServer, Tls, eventually};

struct Setup {
    pool: MeasuredPool,
    smtp: SmtpServer,
    clock: Clock,
}

impl Setup {
    async fn new() -> Self {
        Self {
            pool: TestDatabase::new().await.pool().await,
            smtp: SmtpServer::start(Tls::Never).await,
            clock: Clock::system(),
        }
    }

    fn pool(&self) -> MeasuredPool {
        self.pool.clone()
    }

    async fn courier(&self, options: CourierOptions) -> ActorRef<CourierMsg> {
        let args = CourierArgs {
            pool: self.pool(),
            mail: Arc::new(ArcSwap::from_pointee(sender_from(
                self.smtp.config(SmtpAuthMethod::Plain),
            ))),
            clock: self.clock.clone(),
            options: Arc::new(move || options),
            stats: Arc::default(),
            actor_stats: Arc::default(),
        };
        Actor::spawn(None, Courier, args).await.expect("it starts").0
    }

    fn message(&self, number: usize) -> NewMessage {
        let now = self.clock.now();
        NewMessage {
            id: MessageId::random(),
            user_id: None,
            recipient: format!("user{number}@example.com"),
            template: MailTemplate::EmailVerify,
            locale: "en".to_owned(),
            variables: MailVariables { ticket: "verifyEmail:1".into(), ..MailVariables::default() },
            created_at: now,
            expires_at: now + time::Duration::hours(1),
        }
    }

    async fn enqueue(&self, number: usize) -> MessageId {
        let mut transaction = self.pool().begin().await.expect("a transaction");
        let message = self.message(number);
        let id = outbox::enqueue(&mut transaction, message).await.expect("a row");
        transaction.commit().await.expect("a commit");
        id
    }

    async fn waiting(&self) -> i64 {
        sqlx::query_scalar("select count(*) from auth.keywright_outbox")
            .fetch_one(&self.pool())
            .await
            .expect("a count")
    }

    async fn all_delivered(&self) {
        eventually("an empty outbox", async || self.waiting().await == 0).await;
    }

    fn recipients(&self) -> Vec<String> {
        let mut recipients: Vec<String> =
            self.smtp.received().into_iter().flat_map(|mail| mail.to).collect();
        recipients.sort();
        recipients
    }
}

/// Couriers that find messages by hints only, so that a test knows who does what.
fn hints_only() -> CourierOptions {
    CourierOptions { sweep_every: Duration::from_hours(1), ..CourierOptions::default() }
}

fn eager() -> CourierOptions {
    CourierOptions {
        sweep_every: Duration::from_millis(20),
        backoff_min: Duration::from_millis(10),
        backoff_max: Duration::from_millis(50),
        refused_backoff_min: Duration::from_millis(10),
        ..CourierOptions::default()
    }
}

#[tokio::test]
async fn a_committed_message_is_delivered_at_once() {
    let setup = Setup::new().await;
    let courier = setup.courier(hints_only()).await;
    let id = setup.enqueue(1).await;
    courier.cast(CourierMsg::Deliver(id)).unwrap();
    setup.all_delivered().await;
    assert_eq!(setup.recipients(), ["user1@example.com"]);
}

#[tokio::test]
async fn a_message_that_was_rolled_back_is_never_sent() {
    let setup = Setup::new().await;
    let mut transaction = setup.pool().begin().await.unwrap();
    let id = outbox::enqueue(&mut transaction, setup.message(1)).await.unwrap();
    transaction.rollback().await.unwrap();
    let courier = setup.courier(eager()).await;
    courier.cast(CourierMsg::Deliver(id)).unwrap();
    let second = setup.enqueue(2).await;
    courier.cast(CourierMsg::Deliver(second)).unwrap();
    setup.all_delivered().await;
    assert_eq!(setup.recipients(), ["user2@example.com"]);
}

#[tokio::test]
async fn two_couriers_deliver_each_message_once() {
    let setup = Setup::new().await;
    let couriers = [setup.courier(eager()).await, setup.courier(eager()).await];
    let mut expected = Vec::new();
    for number in 0..60 {
        let id = setup.enqueue(number).await;
        for courier in &couriers {
            courier.cast(CourierMsg::Deliver(id)).unwrap();
            courier.cast(CourierMsg::Sweep).unwrap();
        }
        expected.push(format!("user{number}@example.com"));
    }
    setup.all_delivered().await;
    expected.sort();
    assert_eq!(setup.recipients(), expected);
}

#[tokio::test]
async fn more_hints_than_places_are_not_forgotten() {
    let setup = Setup::new().await;
    let courier = setup.courier(CourierOptions { concurrency: 2, ..hints_only() }).await;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(setup.enqueue(number).await);
    }
    for id in ids {
        courier.cast(CourierMsg::Deliver(id)).unwrap();
    }
    setup.all_delivered().await;
    assert_eq!(setup.recipients().len(), 30);
}

#[tokio::test]
async fn failures_are_retried_until_the_mail_is_out() {
    let setup = Setup::new().await;
    setup.smtp.fail_next([
        Fault::Drop,
        Fault::Reply { at: "RCPT", line: "450 later" },
        Fault::Reply { at: "RCPT", line: "550 never <user1@example.com>" },
        Fault::Reply { at: ".", line: "451 disk full" },
    ]);
    setup.courier(eager()).await;
    setup.enqueue(1).await;
    setup.all_delivered().await;
    assert_eq!(setup.recipients(), ["user1@example.com"]);
    assert_eq!(setup.smtp.connections(), 5);
}

#[tokio::test]
async fn a_failure_leaves_its_cause_without_the_address() {
    let setup = Setup::new().await;
    setup.smtp.fail_next([Fault::Reply { at: "RCPT", line: "550 <user1@example.com> unknown" }]);
    let courier = setup.courier(hints_only()).await;
    let id = setup.enqueue(1).await;
    courier.cast(CourierMsg::Deliver(id)).unwrap();
    let pool = setup.pool();
    let error = async || {
        sqlx::query_scalar::<_, Option<String>>("select last_error from auth.keywright_outbox")
            .fetch_one(&pool)
            .await
            .unwrap()
    };
    eventually("the note", async || error().await.is_some()).await;
    let error = error().await.unwrap();
    assert!(error.contains("RCPT TO") && error.contains("550"), "{error}");
    assert!(!error.contains("user1@example.com"), "{error}");
}

#[tokio::test]
async fn a_killed_courier_loses_nothing_and_sends_nothing_twice() {
    let setup = Setup::new().await;
    let first = setup.courier(eager()).await;
    for number in 0..40 {
        setup.enqueue(number).await;
        if number == 20 {
            first.kill_and_wait(None).await.unwrap();
        }
    }
    setup.courier(eager()).await;
    setup.all_delivered().await;
    assert_eq!(setup.recipients().len(), 40);
}

#[tokio::test]
async fn a_crashing_courier_finishes_what_it_had_begun() {
    let setup = Setup::new().await;
    let courier = setup.courier(hints_only()).await;
    for number in 0..10 {
        let id = setup.enqueue(number).await;
        courier.cast(CourierMsg::Deliver(id)).unwrap();
    }
    courier.cast(CourierMsg::Crash).unwrap();
    setup.all_delivered().await;
    assert_eq!(setup.recipients().len(), 10);
}

#[tokio::test]
async fn a_message_of_a_sender_that_died_becomes_due_again() {
    let setup = Setup::new().await;
    let id = setup.enqueue(1).await;
    let now = setup.clock.now();
    let lease_end = now + time::Duration::minutes(2);
    let claimed = outbox::claim_one(&setup.pool(), id, now, lease_end).await.unwrap().unwrap();
    assert_eq!(claimed.attempts, 1);
    assert!(outbox::claim_one(&setup.pool(), id, now, lease_end).await.unwrap().is_none());
    assert!(outbox::claim_due(&setup.pool(), now, lease_end, 10).await.unwrap().is_empty());

    setup.clock.advance(time::Duration::minutes(3));
    setup.courier(eager()).await;
    setup.all_delivered().await;
    assert_eq!(setup.recipients(), ["user1@example.com"]);
    // The late sender cannot put it back.
    outbox::failed(&setup.pool(), id, claimed.attempts, "late", now).await.unwrap();
    assert_eq!(setup.waiting().await, 0);
}

#[tokio::test]
async fn a_late_sender_does_not_disturb_the_one_that_took_over() {
    let setup = Setup::new().await;
    let id = setup.enqueue(1).await;
    let pool = setup.pool();
    let start = setup.clock.now();
    let first = outbox::claim_one(&pool, id, start, start + time::Duration::seconds(1)).await;
    let first = first.unwrap().unwrap();
    let later = start + time::Duration::seconds(2);
    let second = outbox::claim_one(&pool, id, later, later + time::Duration::minutes(1)).await;
    assert_eq!(second.unwrap().unwrap().attempts, 2);
    outbox::failed(&pool, id, first.attempts, "late", start).await.unwrap();
    assert!(outbox::claim_one(&pool, id, later, later).await.unwrap().is_none());
}

#[tokio::test]
async fn expired_messages_are_not_sent() {
    let setup = Setup::new().await;
    setup.enqueue(1).await;
    setup.clock.advance(time::Duration::hours(2));
    setup.enqueue(2).await;
    setup.courier(eager()).await;
    eventually("the one that is in time", async || setup.waiting().await == 1).await;
    assert_eq!(setup.recipients(), ["user2@example.com"]);
}

#[tokio::test]
async fn a_template_of_a_newer_version_waits_for_a_node_that_knows_it() {
    let setup = Setup::new().await;
    setup.enqueue(1).await;
    sqlx::query("update auth.keywright_outbox set template = 'elevate-otp'")
        .execute(&setup.pool())
        .await
        .unwrap();
    setup.enqueue(2).await;
    setup.courier(eager()).await;
    eventually("the known one", async || setup.waiting().await == 1).await;
    assert_eq!(setup.recipients(), ["user2@example.com"]);
}

#[tokio::test]
async fn a_slow_server_does_not_stop_the_mailbox_and_a_stop_is_bounded() {
    let setup = Setup::new().await;
    setup.smtp.fail_next([Fault::Hang { at: "DATA" }]);
    let options = CourierOptions { stop_grace: Duration::from_millis(100), ..hints_only() };
    let courier = setup.courier(options).await;
    let stuck = setup.enqueue(1).await;
    courier.cast(CourierMsg::Deliver(stuck)).unwrap();
    eventually("the stuck delivery", async || setup.smtp.connections() == 1).await;
    let quick = setup.enqueue(2).await;
    courier.cast(CourierMsg::Deliver(quick)).unwrap();
    eventually("the quick delivery", async || !setup.recipients().is_empty()).await;

    courier.stop_and_wait(None, Some(Duration::from_secs(5))).await.unwrap();
    // Given up cleanly: due at once for whoever comes next.
    setup.courier(hints_only()).await;
    setup.all_delivered().await;
    assert_eq!(setup.recipients(), ["user1@example.com", "user2@example.com"]);
}
