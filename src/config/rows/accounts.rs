//! Settings of accounts: who gets one and what it looks like.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    DISABLE_SIGNUP,
    DISABLE_NEW_USERS,
    ANONYMOUS_USERS_ENABLED,
    EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED,
    ADDRESS_PROOF_CLEARS,
    USER_DEFAULT_ROLE,
    USER_DEFAULT_ALLOWED_ROLES,
    LOCALE_DEFAULT,
    LOCALE_ALLOWED_LOCALES,
    METADATA_MAX_BYTES,
    GRAVATAR_ENABLED,
    GRAVATAR_DEFAULT,
    GRAVATAR_RATING,
    ACCESS_CONTROL_BLOCKED_EMAILS,
    ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS,
    ACCESS_CONTROL_ALLOWED_EMAILS,
    ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS,
];

/// Targets of redirects, under another heading.
pub(crate) const REDIRECTS: &[Setting] = &[ACCESS_CONTROL_ALLOWED_REDIRECT_URLS];

pub(crate) const DISABLE_SIGNUP: Setting =
    Setting::boolean("disable-signup", "AUTH_DISABLE_SIGNUP", "false", "Refuse to create accounts")
        .live();

pub(crate) const DISABLE_NEW_USERS: Setting = Setting::boolean(
    "disable-new-users",
    "AUTH_DISABLE_NEW_USERS",
    "false",
    "Create accounts disabled",
)
.live();

pub(crate) const ANONYMOUS_USERS_ENABLED: Setting = Setting::boolean(
    "enable-anonymous-users",
    "AUTH_ANONYMOUS_USERS_ENABLED",
    "false",
    "Allow anonymous accounts",
)
.live();

pub(crate) const EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED: Setting = Setting::boolean(
    "email-verification-required",
    "AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED",
    "true",
    "Let people in only after they have verified their e-mail address",
)
.live();

pub(crate) const ADDRESS_PROOF_CLEARS: Setting = Setting::choice(
    "address-proof-clears",
    "AUTH_ADDRESS_PROOF_CLEARS",
    &["never", "pending", "always"],
    "pending",
    "Whether the first proof of an address, by another way than the mail of the sign-up itself, takes from the account what was set up before: of accounts that nobody could use yet, of all, or of none",
)
.own()
.live();

pub(crate) const USER_DEFAULT_ROLE: Setting =
    Setting::text("default-role", "AUTH_USER_DEFAULT_ROLE", "user", "Default role of new accounts")
        .live();

pub(crate) const USER_DEFAULT_ALLOWED_ROLES: Setting = Setting::list(
    "default-allowed-roles",
    "AUTH_USER_DEFAULT_ALLOWED_ROLES",
    "me",
    "Roles of new accounts; the default role is added when missing",
)
.live();

pub(crate) const LOCALE_DEFAULT: Setting = Setting::text(
    "default-locale",
    "AUTH_LOCALE_DEFAULT",
    "en",
    "Locale of accounts that name none",
)
.live();

pub(crate) const LOCALE_ALLOWED_LOCALES: Setting = Setting::list(
    "allowed-locales",
    "AUTH_LOCALE_ALLOWED_LOCALES",
    "en",
    "Locales that accounts may have; the default locale is added when missing",
)
.live();

pub(crate) const METADATA_MAX_BYTES: Setting = Setting::int(
    "metadata-max-bytes",
    "AUTH_METADATA_MAX_BYTES",
    "16384",
    "Largest metadata of a new user or token, in bytes of its JSON as Postgres prints it; larger one that is stored already stays",
)
.own()
.live();

pub(crate) const GRAVATAR_ENABLED: Setting = Setting::boolean(
    "gravatar-enabled",
    "AUTH_GRAVATAR_ENABLED",
    "true",
    "Give new accounts an avatar address at Gravatar",
)
.live();

pub(crate) const GRAVATAR_DEFAULT: Setting = Setting::choice(
    "gravatar-default",
    "AUTH_GRAVATAR_DEFAULT",
    &["blank", "identicon", "monsterid", "wavatar", "retro", "robohash", "mp", "404"],
    "blank",
    "What Gravatar shows for unknown addresses",
)
.live();

pub(crate) const GRAVATAR_RATING: Setting = Setting::choice(
    "gravatar-rating",
    "AUTH_GRAVATAR_RATING",
    &["g", "pg", "r", "x"],
    "g",
    "Rating of avatars",
)
.live();

pub(crate) const ACCESS_CONTROL_BLOCKED_EMAILS: Setting = Setting::list(
    "block-emails",
    "AUTH_ACCESS_CONTROL_BLOCKED_EMAILS",
    "",
    "E-mail addresses that are refused",
)
.live();

pub(crate) const ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS: Setting = Setting::list(
    "block-email-domains",
    "AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS",
    "",
    "Domains of e-mail addresses that are refused",
)
.live();

pub(crate) const ACCESS_CONTROL_ALLOWED_EMAILS: Setting = Setting::list(
    "allowed-emails",
    "AUTH_ACCESS_CONTROL_ALLOWED_EMAILS",
    "",
    "E-mail addresses that are accepted; with one of the two lists all others are refused",
)
.live();

pub(crate) const ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS: Setting = Setting::list(
    "allowed-email-domains",
    "AUTH_ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS",
    "",
    "Domains of e-mail addresses that are accepted",
)
.live();

pub(crate) const ACCESS_CONTROL_ALLOWED_REDIRECT_URLS: Setting = Setting::list(
    "allow-redirect-urls",
    "AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS",
    "",
    "More allowed targets of redirects, as glob patterns",
)
.live();
