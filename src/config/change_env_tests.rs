//! What `/change-env` accepts, changes and refuses.

use super::super::Sources;
use super::*;

fn start() -> Config {
    let sources = Sources::from_env([
        (
            "HASURA_GRAPHQL_JWT_SECRET",
            r#"{"type":"HS256","key":"0123456789abcdef0123456789abcdef"}"#,
        ),
        ("AUTH_CLIENT_URL", "http://localhost:3000"),
        ("AUTH_SERVER_URL", "http://127.0.0.2:4000"),
        ("AUTH_USER_DEFAULT_ALLOWED_ROLES", "me,user,editor"),
        ("AUTH_ENABLE_CHANGE_ENV", "true"),
    ]);
    Config::from_sources(&sources).unwrap().config
}

fn change(body: &Value) -> Result<Config, ChangeEnvError> {
    start().with_change_env(body.to_string().as_bytes())
}

#[test]
fn the_reset_of_the_reference_suite_is_accepted() {
    let config = change(&serde_json::json!({
        "AUTH_ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS": "",
        "AUTH_ACCESS_CONTROL_ALLOWED_EMAILS": "",
        "AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS": "",
        "AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS": "",
        "AUTH_ACCESS_CONTROL_BLOCKED_EMAILS": "",
        "AUTH_ANONYMOUS_USERS_ENABLED": false,
        "AUTH_CLIENT_URL": "http://localhost:3000",
        "AUTH_CONCEAL_ERRORS": false,
        "AUTH_DISABLE_NEW_USERS": false,
        "AUTH_DISABLE_SIGNUP": false,
        "AUTH_EMAIL_PASSWORDLESS_ENABLED": true,
        "AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED": false,
        "AUTH_EMAIL_TEMPLATE_FETCH_URL": "",
        "AUTH_JWT_CUSTOM_CLAIMS": "",
        "AUTH_MFA_ENABLED": false,
        "AUTH_PASSWORD_HIBP_ENABLED": false,
        "AUTH_SERVER_URL": "http://127.0.0.2:4000",
        "AUTH_SMS_PASSWORDLESS_ENABLED": false,
        "AUTH_SMS_TEST_PHONE_NUMBERS": "",
        "AUTH_USER_DEFAULT_ALLOWED_ROLES": "user,me",
        "AUTH_WEBAUTHN_ENABLED": false,
        "AUTH_WEBAUTHN_RP_ID": "",
        "AUTH_WEBAUTHN_RP_NAME": "",
        "AUTH_WEBAUTHN_RP_ORIGINS": [],
    }))
    .unwrap();
    assert!(!config.accounts.email_verification_required);
    assert_eq!(config.accounts.roles.allowed(), ["me", "user", "editor"]);
}

#[test]
fn members_change_what_they_name_and_nothing_else() {
    let config = change(&serde_json::json!({
        "AUTH_ANONYMOUS_USERS_ENABLED": true,
        "AUTH_CONCEAL_ERRORS": true,
        "AUTH_DISABLE_SIGNUP": true,
        "AUTH_PASSWORD_MIN_LENGTH": 9,
        "AUTH_REFRESH_TOKEN_EXPIRES_IN": 60,
    }))
    .unwrap();
    assert!(config.accounts.anonymous_enabled);
    assert!(config.server.conceal_errors);
    assert!(config.accounts.disable_signup);
    assert_eq!(config.passwords.min_length, 9);
    assert_eq!(config.tokens.refresh_token_lifetime, Duration::from_mins(1));
    assert!(!config.accounts.disable_new_users);
    assert!(config.accounts.email_verification_required);
    assert_eq!(config.server.client_url, "http://localhost:3000");
}

#[test]
fn negative_numbers_mean_none_and_at_once() {
    let body = serde_json::json!({
        "AUTH_PASSWORD_MIN_LENGTH": -1,
        "AUTH_REFRESH_TOKEN_EXPIRES_IN": -1,
    });
    let config = change(&body).unwrap();
    assert_eq!(config.passwords.min_length, 0);
    assert_eq!(config.tokens.refresh_token_lifetime, Duration::ZERO);
}

#[test]
fn roles_and_locales_have_names_of_their_own_here() {
    let config = change(&serde_json::json!({
        "AUTH_DEFAULT_ROLE": "editor",
        "AUTH_DEFAULT_ALLOWED_ROLES": ["me", ""],
        "AUTH_DEFAULT_LOCALE": "de",
        "AUTH_LOCALE_ALLOWED_LOCALES": "en,,fr",
    }))
    .unwrap();
    assert_eq!(config.accounts.roles.default_role(), "editor");
    assert_eq!(config.accounts.roles.allowed(), ["me", "editor"]);
    assert_eq!(config.accounts.locales.default_locale(), "de");
    assert_eq!(config.accounts.locales.allowed(), ["en", "fr", "de"]);
    let names_of_variables = serde_json::json!({
        "AUTH_USER_DEFAULT_ROLE": "editor",
        "AUTH_LOCALE_DEFAULT": "de",
    });
    let config = change(&names_of_variables).unwrap();
    assert_eq!(config.accounts.roles.default_role(), "user");
    assert_eq!(config.accounts.locales.default_locale(), "en");
}

#[test]
fn email_lists_change_one_by_one() {
    let blocked =
        change(&serde_json::json!({ "AUTH_ACCESS_CONTROL_BLOCKED_EMAILS": "a@b.de" })).unwrap();
    assert!(!blocked.accounts.email_access.allows("a@b.de"));
    let body = br#"{"AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS": "x.de"}"#;
    let both = blocked.with_change_env(body).unwrap();
    assert!(!both.accounts.email_access.allows("a@b.de"));
    assert!(!both.accounts.email_access.allows("a@x.de"));
    let none = both.with_change_env(br#"{"AUTH_ACCESS_CONTROL_BLOCKED_EMAILS": ""}"#).unwrap();
    assert!(none.accounts.email_access.allows("a@b.de"));
}

#[test]
fn redirect_targets_and_the_client_url_take_effect() {
    let list =
        br#"{"AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS": "https://a.example,https://b.example"}"#;
    let config = start().with_change_env(list).unwrap();
    assert_eq!(config.accounts.lists.redirects, ["https://a.example", "https://b.example"]);
    assert_eq!(config.accounts.redirects.client_url(), "http://localhost:3000");
    let config = config.with_change_env(br#"{"AUTH_CLIENT_URL": "https://c.example"}"#).unwrap();
    assert_eq!(config.accounts.redirects.client_url(), "https://c.example");
    assert_eq!(config.accounts.lists.redirects.len(), 2);
    let config =
        config.with_change_env(br#"{"AUTH_CLIENT_URL": "", "AUTH_SERVER_URL": ""}"#).unwrap();
    assert_eq!(config.server.client_url, "https://c.example");
    assert_eq!(config.server.server_url.unwrap().as_str(), "http://127.0.0.2:4000/");
}

#[test]
fn wrong_types_and_values_are_refused_by_name() {
    for (member, value) in [
        ("AUTH_CONCEAL_ERRORS", serde_json::json!("true")),
        ("AUTH_MFA_ENABLED", serde_json::json!(1)),
        ("AUTH_PASSWORD_MIN_LENGTH", serde_json::json!("3")),
        ("AUTH_PASSWORD_MIN_LENGTH", serde_json::json!(3.5)),
        ("AUTH_REFRESH_TOKEN_EXPIRES_IN", serde_json::json!(true)),
        ("AUTH_CLIENT_URL", serde_json::json!([])),
        ("AUTH_CLIENT_URL", serde_json::json!("localhost")),
        ("AUTH_SERVER_URL", serde_json::json!("nowhere")),
        ("AUTH_DEFAULT_ALLOWED_ROLES", serde_json::json!("me,user")),
        ("AUTH_DEFAULT_ALLOWED_ROLES", serde_json::json!(["me", 1])),
        ("AUTH_DEFAULT_ROLE", serde_json::json!("")),
        ("AUTH_DEFAULT_LOCALE", serde_json::json!("english")),
        ("AUTH_LOCALE_ALLOWED_LOCALES", serde_json::json!(["en"])),
        ("AUTH_ACCESS_CONTROL_ALLOWED_EMAILS", serde_json::json!([])),
        ("AUTH_WEBAUTHN_RP_ORIGINS", serde_json::json!("http://localhost:3000")),
        ("AUTH_WEBAUTHN_ATTESTATION_TIMEOUT", serde_json::json!("1m")),
        ("AUTH_JWT_CUSTOM_CLAIMS", serde_json::json!({})),
        ("AUTH_JWT_CUSTOM_CLAIMS", serde_json::json!("{")),
        ("AUTH_JWT_CUSTOM_CLAIMS", serde_json::json!(r#"{"a":1}"#)),
        ("AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS", serde_json::json!("[]")),
        ("AUTH_GRAVATAR_DEFAULT", serde_json::json!(1)),
    ] {
        let error = change(&serde_json::json!({ member: value })).unwrap_err();
        assert!(error.to_string().contains(member), "{member}={value}: {error}");
    }
    for body in ["", "[]", "nonsense", "5", "{\"a\""] {
        let error = start().with_change_env(body.as_bytes()).unwrap_err();
        assert!(matches!(error, ChangeEnvError::NotAnObject(_)), "{body}: {error}");
    }
}

#[test]
fn members_of_features_to_come_nulls_and_unknown_members_are_accepted() {
    for body in [
        r#"{"AUTH_MFA_ENABLED":true,"AUTH_WEBAUTHN_ENABLED":true,"AUTH_WEBAUTHN_RPID":"localhost"}"#,
        r#"{"AUTH_JWT_CUSTOM_CLAIMS":"{\"a\":\"b.c\"}","AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS":"{\"a\":[1]}"}"#,
        r#"{"AUTH_JWT_CUSTOM_CLAIMS":"{}","HASURA_GRAPHQL_ADMIN_SECRET":"x"}"#,
        r#"{"AUTH_CONCEAL_ERRORS":null,"SOMETHING":{"else":[1]}}"#,
        "{}",
    ] {
        let changed = start().with_change_env(body.as_bytes()).unwrap();
        assert!(!changed.server.conceal_errors);
    }
}
