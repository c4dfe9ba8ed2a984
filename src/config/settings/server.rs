//! Settings of the process as a whole.

use super::Setting;

pub(super) const GENERAL: &[Setting] = &[
    Setting::text(
        "env-file",
        "AUTH_ENV_FILE",
        "",
        "File of NAME=value lines, read at start (the environment wins) and again on SIGHUP (the file wins)",
    )
    .own(),
    Setting::boolean("debug", "AUTH_DEBUG", "false", "Log at debug level, with source locations"),
    Setting::boolean(
        "log-format-text",
        "AUTH_LOG_FORMAT_TEXT",
        "false",
        "Log readable text instead of JSON lines",
    ),
    Setting::text(
        "server-url",
        "AUTH_SERVER_URL",
        "",
        "External address of this server with the API prefix; base of the links in mails",
    ).live(),
    Setting::text(
        "client-url",
        "AUTH_CLIENT_URL",
        "",
        "Address of the application; default target and first allowed target of redirects",
    ).live(),
    Setting::list(
        "allow-redirect-urls",
        "AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS",
        "",
        "More allowed targets of redirects, as glob patterns",
    ).live(),
    Setting::boolean(
        "conceal-errors",
        "AUTH_CONCEAL_ERRORS",
        "false",
        "Answer errors that reveal something about accounts by a general one",
    ).live(),
    Setting::boolean(
        "enable-change-env",
        "AUTH_ENABLE_CHANGE_ENV",
        "false",
        "Serve POST /change-env, by which anyone can change settings; for test suites only",
    ),
];
