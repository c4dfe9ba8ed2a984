//! The link in the mail to an old address, which takes a change back (docs/security.md#notices).

use futures_util::future::join_all;
use serde_json::json;
use time::Duration;

use crate::support::app::{PASSWORD, Session, TestApp, TestResponse};
use crate::support::mailbox::{Mail, Mailbox, verify, verify_as};
use crate::support::two_nodes::TwoNodes;

const ANN: &str = "ann@example.com";
const THIEF: &str = "thief@evil.example.com";
const CLIENT_URL: &str = "http://localhost:3000";

/// Verification is required, so that the address of a session is a proven one.
async fn signed_in(app: &TestApp, mailbox: &Mailbox, email: &str) -> Session {
    app.sign_up(email).await;
    let mails = mailbox.to(&app.database, email).await;
    let (_, query) = verify(app, mails[0].ticket(), CLIENT_URL).await.redirect();
    app.refresh(&query["refreshToken"]).await.session()
}

/// Changes the address, and follows the link to the new one; returns the session that it led to.
async fn change(app: &TestApp, mailbox: &Mailbox, session: &Session, new: &str) -> Session {
    let options = json!({"redirectTo": "http://localhost:3000/changed"});
    let body = json!({"newEmail": new, "options": options});
    app.post_as("/user/email/change", session.access_token(), body).await.assert_ok();
    let mails = mailbox.to(&app.database, new).await;
    let mail = mails.iter().rev().find(|mail| mail.template() == "email-confirm-change").unwrap();
    let by_owner = verify_as(app, mail.ticket(), CLIENT_URL, session.access_token()).await;
    app.refresh(&by_owner.redirect().1["refreshToken"]).await.session()
}

/// The last notice of a change that this address got.
async fn notice(app: &TestApp, mailbox: &Mailbox, old: &str) -> Mail {
    let mails = mailbox.to(&app.database, old).await;
    let mut of_changes = mails.into_iter().filter(|mail| mail.template() == "notice-email-changed");
    of_changes.next_back().unwrap()
}

#[track_caller]
fn assert_undone(response: &TestResponse) {
    let (target, query) = response.redirect();
    assert_eq!(target, CLIENT_URL);
    assert_eq!(query.into_iter().collect::<Vec<_>>(), [("type".into(), "emailChangeUndo".into())]);
}

#[track_caller]
fn assert_not_undone(response: &TestResponse, code: &str) {
    assert_eq!(response.redirect().1["error"], code);
}

async fn emails(app: &TestApp) -> Option<String> {
    let sql = "select string_agg(email::text || ':' || email_verified, ',' order by email)
                 from auth.users";
    app.database.text(sql).await
}

#[tokio::test]
async fn the_old_address_is_told_and_its_link_gives_it_back_and_ends_everything() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[])).await;
    let ann = signed_in(&app, &mailbox, ANN).await;
    let thief = change(&app, &mailbox, &ann, THIEF).await;
    let mail = notice(&app, &mailbox, ANN).await;
    assert!(mail.html.contains("evil.example.com") && !mail.html.contains(THIEF), "{}", mail.html);
    assert!(mail.ticket().starts_with("emailChangeUndo:"));
    let link = mail.header("X-Link").unwrap();
    assert!(link.ends_with("&type=emailChangeUndo") && !link.contains("changed"), "{link}");
    // What a thief prepares.
    let pat = json!({"expiresAt": "2090-01-01T00:00:00Z"});
    let pat = app.post_as("/pat", thief.access_token(), pat).await.json();
    app.post("/user/password/reset", json!({"email": THIEF})).await.assert_ok();
    let mails = mailbox.to(&app.database, THIEF).await;
    let reset = mails.iter().find(|mail| mail.template() == "password-reset").unwrap();

    assert_undone(&app.get(&mail.path()).await);
    assert_eq!(emails(&app).await.unwrap(), format!("{ANN}:true"));
    for session in [&ann, &thief] {
        app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    }
    let pat = json!({"personalAccessToken": pat["personalAccessToken"]});
    assert_eq!(app.post("/signin/pat", pat).await.status, 401);
    let body = json!({"newPassword": "the-Thief5-own", "ticket": reset.ticket()});
    app.post("/user/password", body).await.assert_refused(401, "invalid-ticket");
    app.sign_in(THIEF, PASSWORD).await.assert_refused(401, "invalid-email-password");
    app.sign_in(ANN, PASSWORD).await.session();
    let mails = mailbox.to(&app.database, THIEF).await;
    assert!(mails.iter().any(|mail| mail.template() == "notice-email-restored"), "{mails:?}");
    // Once.
    assert_not_undone(&app.get(&mail.path()).await, "invalid-ticket");
}

#[tokio::test]
async fn nothing_that_a_thief_does_takes_the_link_away_and_the_first_owner_wins() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[])).await;
    let ann = signed_in(&app, &mailbox, ANN).await;
    let thief = change(&app, &mailbox, &ann, THIEF).await;
    let first = notice(&app, &mailbox, ANN).await;
    let mut session = thief;
    for number in 0..5 {
        session =
            change(&app, &mailbox, &session, &format!("thief{number}@evil.example.com")).await;
    }
    let body = json!({"newPassword": "the-Thief5-own"});
    app.post_as("/user/password", session.access_token(), body).await.assert_ok();
    app.post_as("/signout", session.access_token(), json!({"all": true})).await.assert_ok();
    let last = "thief4@evil.example.com";
    app.post("/user/password/reset", json!({"email": last})).await.assert_ok();
    let mails = mailbox.to(&app.database, last).await;
    let reset = mails.iter().find(|mail| mail.template() == "password-reset").unwrap();
    let body = json!({"newPassword": "the-Thief6-own", "ticket": reset.ticket()});
    app.post("/user/password", body).await.assert_ok();
    // The thief has links, too; a newer one does not void an older one.
    let own = notice(&app, &mailbox, "thief1@evil.example.com").await;
    assert_undone(&verify(&app, own.ticket(), CLIENT_URL).await);
    assert_eq!(emails(&app).await.unwrap(), "thief1@evil.example.com:true");
    let voided = notice(&app, &mailbox, "thief3@evil.example.com").await;
    assert_not_undone(&verify(&app, voided.ticket(), CLIENT_URL).await, "invalid-ticket");
    assert_undone(&verify(&app, first.ticket(), CLIENT_URL).await);
    assert_eq!(emails(&app).await.unwrap(), format!("{ANN}:true"));
    // And an older one voids all that came after it.
    let left = notice(&app, &mailbox, THIEF).await;
    assert_not_undone(&verify(&app, left.ticket(), CLIENT_URL).await, "invalid-ticket");
    assert_eq!(app.database.count("select count(*) from auth.keywright_tickets").await, 0);
}

#[tokio::test]
async fn an_address_that_somebody_else_took_meanwhile_is_not_given_back() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[])).await;
    let ann = signed_in(&app, &mailbox, ANN).await;
    let session = change(&app, &mailbox, &ann, THIEF).await;
    let mail = notice(&app, &mailbox, ANN).await;
    app.sign_up(ANN).await;
    assert_not_undone(&verify(&app, mail.ticket(), CLIENT_URL).await, "email-already-in-use");
    app.refresh(session.refresh_token()).await.session();
    app.database.execute(&format!("delete from auth.users where email = '{ANN}'")).await;
    app.database.execute("update auth.users set disabled = true").await;
    assert_not_undone(&verify(&app, mail.ticket(), CLIENT_URL).await, "disabled-user");
    app.database.execute("update auth.users set disabled = false").await;
    assert_undone(&verify(&app, mail.ticket(), CLIENT_URL).await);
}

#[tokio::test]
async fn the_link_is_good_for_seven_days_and_only_to_allowed_targets() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[])).await;
    let ann = signed_in(&app, &mailbox, ANN).await;
    let session = change(&app, &mailbox, &ann, THIEF).await;
    let mail = notice(&app, &mailbox, ANN).await;
    let refused = verify(&app, mail.ticket(), "https://evil.example.com").await;
    assert_not_undone(&refused, "redirectTo-not-allowed");
    // It is good for nothing else.
    let body = json!({"newPassword": "another-Passw0rd", "ticket": mail.ticket()});
    assert!(app.post("/user/password", body).await.status.is_client_error());
    let wrong = "emailChangeUndo:2c35b6f3-c4b9-48e3-978a-d4d0f1d42e24";
    assert_not_undone(&verify(&app, wrong, CLIENT_URL).await, "invalid-ticket");
    app.clock.advance(Duration::days(7));
    assert_not_undone(&verify(&app, mail.ticket(), CLIENT_URL).await, "invalid-ticket");
    let second = app.refresh(session.refresh_token()).await.session();
    change(&app, &mailbox, &second, "other@example.com").await;
    let mail = notice(&app, &mailbox, THIEF).await;
    app.clock.advance(Duration::days(7) - Duration::minutes(1));
    assert_undone(&verify(&app, mail.ticket(), CLIENT_URL).await);
}

/// Who has not proved an address never owned the account by it.
#[tokio::test]
async fn an_address_that_was_never_verified_is_told_without_a_link() {
    let mailbox = Mailbox::start().await;
    let more = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")];
    let app = TestApp::start(&mailbox.settings(&more)).await;
    let ann = app.sign_up(ANN).await.session();
    change(&app, &mailbox, &ann, THIEF).await;
    let mail = notice(&app, &mailbox, ANN).await;
    assert!(!mail.html.contains("href"), "{}", mail.html);
    assert_eq!(mail.header("X-Link").unwrap_or_default(), "");
}

#[tokio::test]
async fn where_changes_are_not_told_there_is_no_mail_and_no_ticket() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[("AUTH_SECURITY_NOTICES", "password,pat")])).await;
    let ann = signed_in(&app, &mailbox, ANN).await;
    change(&app, &mailbox, &ann, THIEF).await;
    mailbox.all(&app.database, 2).await;
    assert_eq!(app.database.count("select count(*) from auth.keywright_tickets").await, 0);
}

#[tokio::test]
async fn of_many_who_follow_the_link_on_two_nodes_one_takes_it_back() {
    let mailbox = Mailbox::start().await;
    let two = TwoNodes::start(&mailbox.settings(&[])).await;
    let ann = signed_in(&two.nodes[0], &mailbox, ANN).await;
    change(&two.nodes[0], &mailbox, &ann, THIEF).await;
    let mail = notice(&two.nodes[0], &mailbox, ANN).await;
    let follow = (0..8).map(|number| verify(&two.nodes[number % 2], mail.ticket(), CLIENT_URL));
    let responses = join_all(follow).await;
    let undone = responses.iter().filter(|response| !response.redirect().1.contains_key("error"));
    assert_eq!(undone.count(), 1, "{responses:?}");
}

/// Or else the owner of one address could have another one confirmed.
#[tokio::test]
async fn a_link_to_one_address_confirms_no_other() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[])).await;
    let ann = signed_in(&app, &mailbox, ANN).await;
    let ask = async |new: &str| {
        let body = json!({"newEmail": new});
        app.post_as("/user/email/change", ann.access_token(), body).await.assert_ok();
        mailbox.to(&app.database, new).await.pop().unwrap().ticket().to_owned()
    };
    let mine = ask("ann@mine.example.com").await;
    ask("bob@example.com").await;
    assert_not_undone(&verify(&app, &mine, CLIENT_URL).await, "invalid-ticket");
    // As a node of the version before would leave it.
    let sql = "update auth.users set new_email = 'bob@example.com'";
    let mine = ask("ann@mine.example.com").await;
    app.database.execute(sql).await;
    assert_not_undone(&verify(&app, &mine, CLIENT_URL).await, "invalid-ticket");
    assert_eq!(emails(&app).await.unwrap(), format!("{ANN}:true"));
    // Asked for twice, either link will do.
    let first = ask("ann@mine.example.com").await;
    ask("ann@mine.example.com").await;
    let (_, query) = verify(&app, &first, CLIENT_URL).await.redirect();
    assert!(!query.contains_key("error"), "{query:?}");
}
