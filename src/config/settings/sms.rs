//! Settings of SMS, which are not sent yet.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::text(
        "sms-provider",
        "AUTH_SMS_PROVIDER",
        "twilio",
        "Who sends SMS: twilio, modica, generic or dev",
    )
    .not_yet(),
    Setting::text("sms-twilio-account-sid", "AUTH_SMS_TWILIO_ACCOUNT_SID", "", "Account at Twilio")
        .not_yet(),
    Setting::secret("sms-twilio-auth-token", "AUTH_SMS_TWILIO_AUTH_TOKEN", "Token of Twilio")
        .not_yet(),
    Setting::text(
        "sms-twilio-messaging-service-id",
        "AUTH_SMS_TWILIO_MESSAGING_SERVICE_ID",
        "",
        "Messaging service or sender at Twilio",
    )
    .not_yet(),
    Setting::text("sms-modica-username", "AUTH_SMS_MODICA_USERNAME", "", "User at Modica")
        .not_yet(),
    Setting::secret("sms-modica-password", "AUTH_SMS_MODICA_PASSWORD", "Password at Modica")
        .not_yet(),
    Setting::text(
        "sms-generic-url",
        "AUTH_SMS_GENERIC_URL",
        "",
        "Address that the generic provider posts to",
    )
    .not_yet(),
    Setting::text(
        "sms-generic-content-type",
        "AUTH_SMS_GENERIC_CONTENT_TYPE",
        "application/json",
        "Content type of the generic provider",
    )
    .not_yet(),
    Setting::json(
        "sms-generic-headers",
        "AUTH_SMS_GENERIC_HEADERS",
        "Headers of the generic provider, a JSON object",
    )
    .hidden()
    .not_yet(),
    Setting::duration(
        "sms-generic-timeout",
        "AUTH_SMS_GENERIC_TIMEOUT",
        "10s",
        "Longest wait for the generic provider",
    )
    .not_yet(),
    Setting::text(
        "sms-generic-body-template",
        "AUTH_SMS_GENERIC_BODY_TEMPLATE",
        "",
        "Body that the generic provider posts, with ${to} and ${body}",
    )
    .not_yet(),
    Setting::text(
        "sms-dev-output-dir",
        "AUTH_SMS_DEV_OUTPUT_DIR",
        "",
        "Folder that keeps SMS of the provider dev",
    )
    .not_yet(),
];
