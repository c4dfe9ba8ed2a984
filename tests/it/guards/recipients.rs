//! What one recipient is sent at most, and what stays valid of it
//! (docs/reference-behaviour.md#recipients-have-limits).

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{Client, TestApp, TestResponse};
use crate::support::http_simulator::{HttpSimulator, Reply};
use crate::support::mailbox::{Mail, Mailbox, verify};
use crate::support::two_nodes::TwoNodes;

const ANN: &str = "ann@example.com";
const PHONE: &str = "+15550001111";
const CLIENT_URL: &str = "http://localhost:3000";
const LINK: &str = "/signin/passwordless/email";
const CODE: &str = "/signin/otp/email";
const RESET: &str = "/user/password/reset";
const ON: [(&str, &str); 3] = [
    ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false"),
    ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
    ("AUTH_OTP_EMAIL_ENABLED", "true"),
];

async fn ask(client: &Client, path: &str, email: &str) -> TestResponse {
    client.post(path, json!({"email": email})).await
}

async fn present(client: &Client, code: &str) -> TestResponse {
    client.post("/signin/otp/email/verify", json!({"email": ANN, "otp": code})).await
}

fn tickets(mails: &[Mail]) -> Vec<String> {
    mails.iter().map(|mail| mail.ticket().to_owned()).collect()
}

fn wrong(codes: &[String]) -> impl Iterator<Item = String> {
    (0..20).map(|number| format!("{number:06}")).filter(|code| !codes.contains(code))
}

#[tokio::test]
async fn of_sixty_mails_asked_for_at_once_on_two_nodes_five_are_sent_and_every_answer_is_the_same()
{
    let mailbox = Mailbox::start().await;
    let two = TwoNodes::start(&mailbox.settings(&ON)).await;
    let database = &two.nodes[0].database;
    two.nodes[0].sign_up(ANN).await.session();
    let asked = (0..60).map(|number| {
        // Letters of either case are the same mailbox.
        ask(&two.nodes[number % 2], RESET, if number % 3 == 0 { "ANN@example.com" } else { ANN })
    });
    for response in join_all(asked).await {
        response.assert_ok();
    }
    mailbox.all(database, 5).await;
    ask(&two.nodes[0], RESET, "nobody@example.com").await.assert_ok();
    ask(&two.nodes[1], RESET, ANN).await.assert_ok();
    two.clock.advance(Duration::minutes(59));
    ask(&two.nodes[1], RESET, ANN).await.assert_ok();
    mailbox.all(database, 5).await;
    two.clock.advance(Duration::minutes(2));
    ask(&two.nodes[0], RESET, ANN).await.assert_ok();
    mailbox.all(database, 6).await;
}

/// Nobody keeps an owner from a reset by asking for other mail.
#[tokio::test]
async fn the_last_mail_of_an_hour_is_for_a_reset() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&ON)).await;
    app.sign_up(ANN).await.session();
    for path in [LINK, CODE, LINK, CODE, LINK, CODE] {
        ask(&app, path, ANN).await.assert_ok();
    }
    mailbox.all(&app.database, 4).await;
    ask(&app, RESET, ANN).await.assert_ok();
    let reset = mailbox.last(&app.database, 5).await;
    assert_eq!(reset.template(), "password-reset");
    ask(&app, RESET, ANN).await.assert_ok();
    mailbox.all(&app.database, 5).await;
    let (_, query) = verify(&app, reset.ticket(), CLIENT_URL).await.redirect();
    assert!(query.contains_key("refreshToken"), "{query:?}");
}

/// Mail that is not sent takes no place among the tickets.
#[tokio::test]
async fn the_last_three_tickets_of_a_kind_are_good_and_using_one_voids_the_others() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&ON)).await;
    app.sign_up(ANN).await.session();
    let mut links = Vec::new();
    for sent in 1..=4 {
        ask(&app, LINK, ANN).await.assert_ok();
        // Mails that are under way together may arrive in any order.
        links.push(mailbox.last(&app.database, sent).await.ticket().to_owned());
    }
    for _ in 0..4 {
        ask(&app, LINK, ANN).await.assert_ok();
    }
    mailbox.all(&app.database, 4).await;
    let follow = async |ticket: &str| verify(&app, ticket, CLIENT_URL).await.redirect().1;
    assert_eq!(follow(&links[0]).await["error"], "invalid-ticket");
    assert!(follow(&links[1]).await.contains_key("refreshToken"));
    for void in [&links[1], &links[2], &links[3]] {
        assert_eq!(follow(void).await["error"], "invalid-ticket");
    }
}

#[tokio::test]
async fn tickets_that_are_asked_for_at_once_do_not_replace_each_other() {
    let mailbox = Mailbox::start().await;
    let two = TwoNodes::start(&mailbox.settings(&ON)).await;
    let database = &two.nodes[0].database;
    two.nodes[0].sign_up(ANN).await.session();
    let off = [ON[0], ON[1], ON[2], ("AUTH_RECIPIENT_LIMITS", "off")];
    let unlimited = TestApp::start_at(
        std::sync::Arc::clone(database),
        two.clock.clone(),
        &mailbox.settings(&off),
    )
    .await;
    for (client, sent) in [(unlimited.client(), 3), (two.nodes[1].client(), 6)] {
        database.execute("delete from auth.keywright_tickets").await;
        let responses = join_all((0..3).map(|_| ask(client, CODE, ANN))).await;
        responses.iter().for_each(TestResponse::assert_ok);
        mailbox.all(database, sent).await;
        assert_eq!(database.count("select count(*) from auth.keywright_tickets").await, 3);
    }
}

/// Three codes are not three times as many tries.
#[tokio::test]
async fn a_wrong_code_counts_for_every_pending_one_and_five_end_them_all() {
    let mailbox = Mailbox::start().await;
    let mut more = ON.to_vec();
    more.push(("AUTH_ACCOUNT_ATTEMPTS", "100"));
    let two = TwoNodes::start(&mailbox.settings(&more)).await;
    let database = &two.nodes[0].database;
    two.nodes[0].sign_up(ANN).await.session();
    for _ in 0..3 {
        ask(&two.nodes[0], CODE, ANN).await.assert_ok();
    }
    let codes = tickets(&mailbox.all(database, 3).await);
    let tries =
        wrong(&codes).take(12).enumerate().map(|(number, code)| async move { (number, code) });
    let tries = join_all(tries).await;
    join_all(tries.iter().map(|(number, code)| present(&two.nodes[number % 2], code)))
        .await
        .iter()
        .for_each(|response| response.assert_refused(401, "invalid-ticket"));
    for code in &codes {
        present(&two.nodes[0], code).await.assert_refused(401, "invalid-ticket");
    }
    // A new one is good, and takes as many.
    ask(&two.nodes[0], CODE, ANN).await.assert_ok();
    let fresh = mailbox.last(database, 4).await.ticket().to_owned();
    for code in wrong(std::slice::from_ref(&fresh)).take(4) {
        present(&two.nodes[1], &code).await.assert_refused(401, "invalid-ticket");
    }
    present(&two.nodes[0], &fresh).await.session();
}

#[tokio::test]
async fn any_of_three_codes_signs_in_once_however_many_come_at_once() {
    let mailbox = Mailbox::start().await;
    let mut more = ON.to_vec();
    more.extend([("AUTH_OTP_MAX_TRIES", "100"), ("AUTH_ACCOUNT_ATTEMPTS", "100")]);
    let two = TwoNodes::start(&mailbox.settings(&more)).await;
    let database = &two.nodes[0].database;
    two.nodes[0].sign_up(ANN).await.session();
    for _ in 0..3 {
        ask(&two.nodes[0], CODE, ANN).await.assert_ok();
    }
    let codes = tickets(&mailbox.all(database, 3).await);
    let presented = (0..12).map(|number| present(&two.nodes[number % 2], &codes[number % 3]));
    let responses = join_all(presented).await;
    let signed_in = responses.iter().filter(|response| response.status == 200).count();
    let codes: BTreeSet<&String> = codes.iter().collect();
    // Two codes may be alike by chance, and then there are two tickets of one text.
    assert!(signed_in == 1 || codes.len() < 3, "{responses:?}");
    for response in responses.iter().filter(|response| response.status != 200) {
        response.assert_refused(401, "invalid-ticket");
    }
    assert_eq!(database.count("select count(*) from auth.keywright_tickets").await, 0);
}

/// Strangers name whom they like; nothing is kept about those who are nobody here.
#[tokio::test]
async fn an_address_without_an_account_gets_the_same_answers_and_leaves_no_row() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&ON[..1])).await;
    app.sign_up(ANN).await.session();
    let mut seen = Vec::new();
    for email in [ANN, "nobody@example.com"] {
        let mut answers = Vec::new();
        for _ in 0..8 {
            let response = ask(&app, RESET, email).await;
            answers.push((response.status, response.text));
        }
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
    mailbox.all(&app.database, 5).await;
    assert_eq!(app.database.count("select count(*) from auth.keywright_recipients").await, 1);
    let text = "select recipient::text from auth.keywright_recipients";
    assert!(!app.database.text(text).await.unwrap().contains("616e6e40"), "the address is in it");
}

#[tokio::test]
async fn somebody_elses_new_address_is_not_flooded_either() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&ON)).await;
    let evil = app.sign_up("evil@example.com").await.session();
    let body = json!({"newEmail": "victim@example.com"});
    for _ in 0..8 {
        let token = evil.access_token();
        app.post_as("/user/email/change", token, body.clone()).await.assert_ok();
    }
    assert_eq!(mailbox.to(&app.database, "victim@example.com").await.len(), 4);
}

#[tokio::test]
async fn the_setting_moves_lifts_and_checks_the_limits() {
    for (setting, sent) in [("mail:2/1h", 2), ("off", 12), ("mail:off", 12), ("sms:off", 5)] {
        let mailbox = Mailbox::start().await;
        let mut more = ON.to_vec();
        more.push(("AUTH_RECIPIENT_LIMITS", setting));
        let app = TestApp::start(&mailbox.settings(&more)).await;
        app.sign_up(ANN).await.session();
        for _ in 0..12 {
            ask(&app, RESET, ANN).await.assert_ok();
        }
        mailbox.all(&app.database, sent).await;
    }
}

async fn text(client: &Client) -> TestResponse {
    client.post("/signin/passwordless/sms", json!({"phoneNumber": PHONE})).await
}

fn twilio(simulator: &HttpSimulator) -> [(&str, &str); 5] {
    [
        ("AUTH_SMS_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_SMS_TWILIO_ACCOUNT_SID", "AC123"),
        ("AUTH_SMS_TWILIO_AUTH_TOKEN", "twilio-s3cret"),
        ("AUTH_SMS_TWILIO_MESSAGING_SERVICE_ID", "MG456"),
        ("AUTH_SMS_TWILIO_URL", &simulator.url),
    ]
}

#[tokio::test]
async fn of_thirty_sms_asked_for_at_once_on_two_nodes_three_are_sent_and_each_is_good() {
    let simulator = HttpSimulator::start(Reply::json(201, &json!({"sid": "SM1"}))).await;
    let two = TwoNodes::start(&twilio(&simulator)).await;
    text(&two.nodes[0]).await.assert_ok();
    let asked = (0..30).map(|number| text(&two.nodes[number % 2]));
    for response in join_all(asked).await {
        response.assert_ok();
    }
    let codes: Vec<String> = simulator
        .asked()
        .iter()
        .map(|sms| sms.form("Body").unwrap().chars().filter(char::is_ascii_digit).collect())
        .collect();
    assert_eq!(codes.len(), 3);
    let present = async |code: &str| {
        let body = json!({"phoneNumber": PHONE, "otp": code});
        two.nodes[1].post("/signin/passwordless/sms/otp", body).await
    };
    present(&codes[0]).await.session();
    present(&codes[1]).await.assert_refused(400, "invalid-request");
    two.clock.advance(Duration::minutes(61));
    text(&two.nodes[1]).await.assert_ok();
    assert_eq!(simulator.asked().len(), 4);
}

/// Nobody pays for what the provider did not take.
#[tokio::test]
async fn an_sms_that_the_provider_refuses_does_not_count() {
    let simulator = HttpSimulator::start(Reply::json(201, &json!({"sid": "SM1"}))).await;
    let app = TestApp::start(&twilio(&simulator)).await;
    for _ in 0..5 {
        simulator.say_once(Reply::json(400, &Value::Null));
        text(&app).await.assert_refused(400, "cannot-send-sms");
    }
    for _ in 0..5 {
        text(&app).await.assert_ok();
    }
    assert_eq!(simulator.asked().len(), 8);
}
