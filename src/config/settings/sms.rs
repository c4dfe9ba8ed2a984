//! Settings of SMS.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::text(
        "sms-provider",
        "AUTH_SMS_PROVIDER",
        "twilio",
        "Who sends SMS: twilio, modica, or dev, which only logs them",
    )
    .live(),
    Setting::text("sms-twilio-account-sid", "AUTH_SMS_TWILIO_ACCOUNT_SID", "", "Account at Twilio")
        .live(),
    Setting::secret("sms-twilio-auth-token", "AUTH_SMS_TWILIO_AUTH_TOKEN", "Token of Twilio")
        .live(),
    Setting::text(
        "sms-twilio-messaging-service-id",
        "AUTH_SMS_TWILIO_MESSAGING_SERVICE_ID",
        "",
        "Messaging service or sender at Twilio",
    )
    .live(),
    Setting::text("sms-modica-username", "AUTH_SMS_MODICA_USERNAME", "", "User at Modica").live(),
    Setting::secret("sms-modica-password", "AUTH_SMS_MODICA_PASSWORD", "Password at Modica").live(),
    Setting::text(
        "sms-twilio-url",
        "AUTH_SMS_TWILIO_URL",
        "https://api.twilio.com",
        "Where Twilio takes messages",
    )
    .own()
    .live(),
    Setting::text(
        "sms-twilio-verify-url",
        "AUTH_SMS_TWILIO_VERIFY_URL",
        "https://verify.twilio.com",
        "Where Twilio Verify is asked, for services whose id begins with VA",
    )
    .own()
    .live(),
    Setting::text(
        "sms-modica-url",
        "AUTH_SMS_MODICA_URL",
        "https://api.modicagroup.com",
        "Where Modica takes messages",
    )
    .own()
    .live(),
    Setting::duration(
        "sms-timeout",
        "AUTH_SMS_TIMEOUT",
        "10s",
        "Longest wait for the provider of SMS",
    )
    .own()
    .live(),
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
