//! Settings of accounts: who gets one and what it looks like.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::boolean("disable-signup", "AUTH_DISABLE_SIGNUP", "false", "Refuse to create accounts")
        .live(),
    Setting::boolean(
        "disable-new-users",
        "AUTH_DISABLE_NEW_USERS",
        "false",
        "Create accounts disabled",
    )
    .live(),
    Setting::boolean(
        "enable-anonymous-users",
        "AUTH_ANONYMOUS_USERS_ENABLED",
        "false",
        "Allow anonymous accounts",
    )
    .live(),
    Setting::boolean(
        "email-verification-required",
        "AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED",
        "true",
        "Let people in only after they have verified their e-mail address",
    )
    .live(),
    Setting::text("default-role", "AUTH_USER_DEFAULT_ROLE", "user", "Default role of new accounts")
        .live(),
    Setting::list(
        "default-allowed-roles",
        "AUTH_USER_DEFAULT_ALLOWED_ROLES",
        "me",
        "Roles of new accounts; the default role is added when missing",
    )
    .live(),
    Setting::text(
        "default-locale",
        "AUTH_LOCALE_DEFAULT",
        "en",
        "Locale of accounts that name none",
    )
    .live(),
    Setting::list(
        "allowed-locales",
        "AUTH_LOCALE_ALLOWED_LOCALES",
        "en",
        "Locales that accounts may have; the default locale is added when missing",
    )
    .live(),
    Setting::boolean(
        "gravatar-enabled",
        "AUTH_GRAVATAR_ENABLED",
        "true",
        "Give new accounts an avatar address at Gravatar",
    )
    .live(),
    Setting::choice(
        "gravatar-default",
        "AUTH_GRAVATAR_DEFAULT",
        &["blank", "identicon", "monsterid", "wavatar", "retro", "robohash", "mp", "404"],
        "blank",
        "What Gravatar shows for unknown addresses",
    )
    .live(),
    Setting::choice(
        "gravatar-rating",
        "AUTH_GRAVATAR_RATING",
        &["g", "pg", "r", "x"],
        "g",
        "Rating of avatars",
    )
    .live(),
    Setting::list(
        "block-emails",
        "AUTH_ACCESS_CONTROL_BLOCKED_EMAILS",
        "",
        "E-mail addresses that are refused",
    )
    .live(),
    Setting::list(
        "block-email-domains",
        "AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS",
        "",
        "Domains of e-mail addresses that are refused",
    )
    .live(),
    Setting::list(
        "allowed-emails",
        "AUTH_ACCESS_CONTROL_ALLOWED_EMAILS",
        "",
        "E-mail addresses that are accepted; with one of the two lists all others are refused",
    )
    .live(),
    Setting::list(
        "allowed-email-domains",
        "AUTH_ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS",
        "",
        "Domains of e-mail addresses that are accepted",
    )
    .live(),
];
