//! Settings of SMS.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    SMS_PROVIDER,
    SMS_TWILIO_ACCOUNT_SID,
    SMS_TWILIO_AUTH_TOKEN,
    SMS_TWILIO_MESSAGING_SERVICE_ID,
    SMS_MODICA_USERNAME,
    SMS_MODICA_PASSWORD,
    SMS_TWILIO_URL,
    SMS_TWILIO_VERIFY_URL,
    SMS_MODICA_URL,
    SMS_TIMEOUT,
    SMS_GENERIC_URL,
    SMS_GENERIC_CONTENT_TYPE,
    SMS_GENERIC_HEADERS,
    SMS_GENERIC_TIMEOUT,
    SMS_GENERIC_BODY_TEMPLATE,
    SMS_DEV_OUTPUT_DIR,
];

pub(crate) const SMS_PROVIDER: Setting = Setting::text(
    "sms-provider",
    "AUTH_SMS_PROVIDER",
    "twilio",
    "Who sends SMS: twilio, modica, or dev, which only logs them",
)
.live();

pub(crate) const SMS_TWILIO_ACCOUNT_SID: Setting =
    Setting::text("sms-twilio-account-sid", "AUTH_SMS_TWILIO_ACCOUNT_SID", "", "Account at Twilio")
        .live();

pub(crate) const SMS_TWILIO_AUTH_TOKEN: Setting =
    Setting::secret("sms-twilio-auth-token", "AUTH_SMS_TWILIO_AUTH_TOKEN", "Token of Twilio")
        .live();

pub(crate) const SMS_TWILIO_MESSAGING_SERVICE_ID: Setting = Setting::text(
    "sms-twilio-messaging-service-id",
    "AUTH_SMS_TWILIO_MESSAGING_SERVICE_ID",
    "",
    "Messaging service or sender at Twilio",
)
.live();

pub(crate) const SMS_MODICA_USERNAME: Setting =
    Setting::text("sms-modica-username", "AUTH_SMS_MODICA_USERNAME", "", "User at Modica").live();

pub(crate) const SMS_MODICA_PASSWORD: Setting =
    Setting::secret("sms-modica-password", "AUTH_SMS_MODICA_PASSWORD", "Password at Modica").live();

pub(crate) const SMS_TWILIO_URL: Setting = Setting::text(
    "sms-twilio-url",
    "AUTH_SMS_TWILIO_URL",
    "https://api.twilio.com",
    "Where Twilio takes messages",
)
.own()
.live();

pub(crate) const SMS_TWILIO_VERIFY_URL: Setting = Setting::text(
    "sms-twilio-verify-url",
    "AUTH_SMS_TWILIO_VERIFY_URL",
    "https://verify.twilio.com",
    "Where Twilio Verify is asked, for services whose id begins with VA",
)
.own()
.live();

pub(crate) const SMS_MODICA_URL: Setting = Setting::text(
    "sms-modica-url",
    "AUTH_SMS_MODICA_URL",
    "https://api.modicagroup.com",
    "Where Modica takes messages",
)
.own()
.live();

pub(crate) const SMS_TIMEOUT: Setting = Setting::duration(
    "sms-timeout",
    "AUTH_SMS_TIMEOUT",
    "10s",
    "Longest wait for the provider of SMS",
)
.own()
.live();

pub(crate) const SMS_GENERIC_URL: Setting = Setting::text(
    "sms-generic-url",
    "AUTH_SMS_GENERIC_URL",
    "",
    "Address that the generic provider posts to",
)
.not_yet();

pub(crate) const SMS_GENERIC_CONTENT_TYPE: Setting = Setting::text(
    "sms-generic-content-type",
    "AUTH_SMS_GENERIC_CONTENT_TYPE",
    "application/json",
    "Content type of the generic provider",
)
.not_yet();

pub(crate) const SMS_GENERIC_HEADERS: Setting = Setting::json(
    "sms-generic-headers",
    "AUTH_SMS_GENERIC_HEADERS",
    "Headers of the generic provider, a JSON object",
)
.hidden()
.not_yet();

pub(crate) const SMS_GENERIC_TIMEOUT: Setting = Setting::duration(
    "sms-generic-timeout",
    "AUTH_SMS_GENERIC_TIMEOUT",
    "10s",
    "Longest wait for the generic provider",
)
.not_yet();

pub(crate) const SMS_GENERIC_BODY_TEMPLATE: Setting = Setting::text(
    "sms-generic-body-template",
    "AUTH_SMS_GENERIC_BODY_TEMPLATE",
    "",
    "Body that the generic provider posts, with ${to} and ${body}",
)
.not_yet();

pub(crate) const SMS_DEV_OUTPUT_DIR: Setting = Setting::text(
    "sms-dev-output-dir",
    "AUTH_SMS_DEV_OUTPUT_DIR",
    "",
    "Folder that keeps SMS of the provider dev",
)
.not_yet();
