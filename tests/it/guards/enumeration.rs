//! `keywright bench enumeration`: what responses tell about an address. How long they take is for
//! that command to measure, not for a test.

use std::sync::atomic::AtomicBool;

use clap::FromArgMatches as _;
use keywright_bench::args::{BenchArgs, BenchCommand, EnumerationArgs};
use keywright_bench::command;
use keywright_bench::enumeration::{Report, enumeration};

use crate::support::app::TestApp;
use crate::support::mailbox::Mailbox;

fn args(url: &str) -> EnumerationArgs {
    let line = [
        "bench",
        "enumeration",
        "--url",
        url,
        "--known",
        "ann@example.com",
        "--requests",
        "20",
        "--pause",
        "0.001",
    ];
    let matches = command().try_get_matches_from(line).unwrap();
    match BenchArgs::from_arg_matches(&matches).unwrap().what {
        BenchCommand::Enumeration(args) => *args,
        _ => unreachable!("the line says enumeration"),
    }
}

async fn run(more: &[(&str, &str)]) -> Report {
    let mailbox = Mailbox::start().await;
    let mut settings = mailbox.settings(&[
        ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_OTP_EMAIL_ENABLED", "true"),
        ("AUTH_WEBAUTHN_ENABLED", "true"),
        // Whoever signs up for the measurement has no mailbox.
        ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false"),
        ("AUTH_ACCOUNT_ATTEMPTS", "0"),
    ]);
    settings.extend_from_slice(more);
    let app = TestApp::start(&settings).await;
    app.database
        .execute(
            "insert into auth.users (id, email, email_verified, locale, default_role) \
             values (gen_random_uuid(), 'ann@example.com', true, 'en', 'user'); \
             insert into auth.user_security_keys \
                    (user_id, credential_id, credential_public_key, counter, transports) \
             select id, 'AAAA', '\\x00', 0, '' from auth.users",
        )
        .await;
    enumeration(&args(app.url()), &AtomicBool::new(false)).await.unwrap()
}

/// Neither response nor time tells whether an address is known
/// (docs/reference-behaviour.md#state-is-for-the-owner,
/// docs/reference-behaviour.md#timing-does-not-tell).
#[tokio::test]
async fn concealed_responses_are_the_same_for_every_operation() {
    for signup in ["true", "false"] {
        let settings = [("AUTH_CONCEAL_ERRORS", "true"), ("AUTH_DISABLE_SIGNUP", signup)];
        let report = run(&settings).await;
        // Where nobody may sign up, there is nobody who could change an address.
        let skipped = if signup == "true" { 2 } else { 0 };
        assert_eq!((report.operations.len(), report.skipped.len()), (9 - skipped, skipped));
        for operation in &report.operations {
            assert_eq!(operation.known_responses, operation.unknown_responses, "{operation:?}");
            assert!(operation.known_median_us > 0.0, "{operation:?}");
        }
    }
}

/// Without concealment the contract's own codes differ, and the command says so.
#[tokio::test]
async fn open_responses_are_reported() {
    let report = run(&[("AUTH_DISABLE_SIGNUP", "true")]).await;
    let telling: Vec<_> =
        report.operations.iter().filter(|o| o.known_responses != o.unknown_responses).collect();
    let paths: Vec<_> = telling.iter().map(|operation| operation.path).collect();
    assert_eq!(
        paths,
        [
            "/user/email/send-verification-email",
            "/signin/passwordless/email",
            "/signin/otp/email",
            "/signin/webauthn",
        ]
    );
    assert!(report.table().contains("the answer tells"));
}
