//! Settings of e-mail.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    SMTP_HOST,
    SMTP_PORT,
    SMTP_SECURE,
    SMTP_TLS,
    SMTP_USER,
    SMTP_PASS,
    SMTP_SENDER,
    SMTP_X_SMTPAPI_HEADER,
    SMTP_AUTH_METHOD,
    POSTMARK_URL,
    POSTMARK_TIMEOUT,
    SMTP_CA_FILE,
    SMTP_HELO,
    EMAIL_TEMPLATES_PATH,
    MAIL_CAPTURE_FOLDER,
    MAIL_DELIVERY,
];

pub(crate) const SMTP_HOST: Setting = Setting::text(
    "smtp-host",
    "AUTH_SMTP_HOST",
    "",
    "SMTP server; empty means that no mail is sent",
)
.live();

pub(crate) const SMTP_PORT: Setting =
    Setting::int("smtp-port", "AUTH_SMTP_PORT", "587", "Port of the SMTP server").live();

pub(crate) const SMTP_SECURE: Setting = Setting::boolean(
    "smtp-secure",
    "AUTH_SMTP_SECURE",
    "false",
    "TLS from the first byte; otherwise STARTTLS, by AUTH_SMTP_TLS",
)
.live();

pub(crate) const SMTP_TLS: Setting = Setting::choice(
    "smtp-tls",
    "AUTH_SMTP_TLS",
    &["required", "opportunistic", "none"],
    "",
    "Whether mail may go without TLS; opportunistic: where the server offers none; default is required, \
     but opportunistic for a server on this machine and on a database that Keywright did not create",
)
.own()
.live();

pub(crate) const SMTP_USER: Setting =
    Setting::text("smtp-user", "AUTH_SMTP_USER", "", "User at the SMTP server").live();

pub(crate) const SMTP_PASS: Setting =
    Setting::secret("smtp-password", "AUTH_SMTP_PASS", "Password at the SMTP server").live();

pub(crate) const SMTP_SENDER: Setting = Setting::text(
    "smtp-sender",
    "AUTH_SMTP_SENDER",
    "",
    "Sender of mails, an address or Name <address>",
)
.live();

pub(crate) const SMTP_X_SMTPAPI_HEADER: Setting = Setting::text(
    "smtp-api-header",
    "AUTH_SMTP_X_SMTPAPI_HEADER",
    "",
    "Value of the header X-SMTPAPI of mails; empty means none",
)
.live();

pub(crate) const SMTP_AUTH_METHOD: Setting = Setting::choice(
    "smtp-auth-method",
    "AUTH_SMTP_AUTH_METHOD",
    &["LOGIN", "PLAIN", "CRAM-MD5"],
    "PLAIN",
    "How the SMTP server authenticates us",
)
.live();

pub(crate) const POSTMARK_URL: Setting = Setting::text(
    "postmark-url",
    "AUTH_POSTMARK_URL",
    "https://api.postmarkapp.com",
    "Where Postmark takes mail, if AUTH_SMTP_HOST is postmark",
)
.own()
.live();

pub(crate) const POSTMARK_TIMEOUT: Setting = Setting::duration(
    "postmark-timeout",
    "AUTH_POSTMARK_TIMEOUT",
    "30s",
    "Longest wait for Postmark",
)
.own()
.live();

pub(crate) const SMTP_CA_FILE: Setting = Setting::text(
    "smtp-ca-file",
    "AUTH_SMTP_CA_FILE",
    "",
    "PEM file of certificates that are trusted besides the system's when mail is sent",
)
.own()
.live();

pub(crate) const SMTP_HELO: Setting = Setting::text(
    "smtp-helo",
    "AUTH_SMTP_HELO",
    "",
    "Name by which this server greets the SMTP server; default is the host's name if it has a dot, else its address in brackets",
)
.own()
.live();

pub(crate) const EMAIL_TEMPLATES_PATH: Setting = Setting::text(
    "templates-path",
    "AUTH_EMAIL_TEMPLATES_PATH",
    "/app/email-templates",
    "Folder of mail templates; when it is missing the built-in ones are used",
)
.live();

pub(crate) const MAIL_CAPTURE_FOLDER: Setting = Setting::text(
    "mail-capture-folder",
    "AUTH_MAIL_CAPTURE_FOLDER",
    "",
    "Folder that keeps mails instead of an SMTP server; for development",
)
.own();

pub(crate) const MAIL_DELIVERY: Setting = Setting::choice(
    "mail-delivery",
    "AUTH_MAIL_DELIVERY",
    &["outbox", "before-response"],
    "outbox",
    "Whether responses wait for the first attempt to deliver their mail, 5 seconds at most, for test suites \
     that look into a mailbox at once; not with AUTH_CONCEAL_ERRORS, where the wait would tell who has an account",
)
.own()
.live();
