//! Settings of e-mail.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::text(
        "smtp-host",
        "AUTH_SMTP_HOST",
        "",
        "SMTP server; empty means that no mail is sent",
    )
    .live(),
    Setting::int("smtp-port", "AUTH_SMTP_PORT", "587", "Port of the SMTP server").live(),
    Setting::boolean(
        "smtp-secure",
        "AUTH_SMTP_SECURE",
        "false",
        "TLS from the first byte; otherwise STARTTLS where the server offers it",
    )
    .live(),
    Setting::text("smtp-user", "AUTH_SMTP_USER", "", "User at the SMTP server").live(),
    Setting::secret("smtp-password", "AUTH_SMTP_PASS", "Password at the SMTP server").live(),
    Setting::text(
        "smtp-sender",
        "AUTH_SMTP_SENDER",
        "",
        "Sender of mails, an address or Name <address>",
    )
    .live(),
    Setting::text(
        "smtp-api-header",
        "AUTH_SMTP_X_SMTPAPI_HEADER",
        "",
        "Value of the header X-SMTPAPI of mails; empty means none",
    )
    .live(),
    Setting::choice(
        "smtp-auth-method",
        "AUTH_SMTP_AUTH_METHOD",
        &["LOGIN", "PLAIN", "CRAM-MD5"],
        "PLAIN",
        "How the SMTP server authenticates us",
    )
    .live(),
    Setting::text(
        "postmark-url",
        "AUTH_POSTMARK_URL",
        "https://api.postmarkapp.com",
        "Where Postmark takes mail, if AUTH_SMTP_HOST is postmark",
    )
    .own()
    .live(),
    Setting::duration(
        "postmark-timeout",
        "AUTH_POSTMARK_TIMEOUT",
        "30s",
        "Longest wait for Postmark",
    )
    .own()
    .live(),
    Setting::text(
        "smtp-ca-file",
        "AUTH_SMTP_CA_FILE",
        "",
        "PEM file of certificates that are trusted besides the system's when mail is sent",
    )
    .own()
    .live(),
    Setting::text(
        "templates-path",
        "AUTH_EMAIL_TEMPLATES_PATH",
        "/app/email-templates",
        "Folder of mail templates; when it is missing the built-in ones are used",
    )
    .live(),
    Setting::text(
        "mail-capture-folder",
        "AUTH_MAIL_CAPTURE_FOLDER",
        "",
        "Folder that keeps mails instead of an SMTP server; for development",
    )
    .own(),
];
