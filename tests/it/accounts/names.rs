//! Names as people have them.

use serde_json::json;

use crate::support::app::{PASSWORD, TestApp};

#[tokio::test]
async fn names_of_the_scripts_of_the_world_are_kept_as_typed() {
    let app = TestApp::start(&[]).await;
    for (number, name) in [
        "O\u{2019}Brien",
        "हिन्दी",
        "Zoe\u{308}",
        "می\u{200c}خواهم",
        "Col\u{b7}lega",
        "ジョン\u{30fb}スミス",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    ]
    .iter()
    .enumerate()
    {
        let email = format!("{number}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "options": {"displayName": name}});
        let session = app.post("/signup/email-password", body).await.session();
        assert_eq!(session.0["user"]["displayName"], *name);
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_seen_or_that_turns_text_around_is_none() {
    let app = TestApp::start(&[]).await;
    for name in [" ", "\u{a0}\u{3000}", "\u{200d}\u{200c}", "\u{301}", "a\u{202e}b", "a\nb", "a\0"]
    {
        let body = json!({
            "email": "ann@example.com", "password": PASSWORD, "options": {"displayName": name},
        });
        let refused = app.post("/signup/email-password", body).await;
        refused.assert_refused(400, "invalid-request");
        assert!(refused.text.contains("/options/displayName"), "{name:?}: {refused:?}");
    }
}
