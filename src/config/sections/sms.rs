//! How SMS leave.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use crate::clients::modica::ModicaConfig;
use crate::clients::twilio::TwilioConfig;
use crate::config::reading::Reader;
use crate::config::rows;

/// How SMS leave.
#[derive(Clone, Debug)]
pub struct SmsConfig {
    /// `AUTH_SMS_PROVIDER`; `None` while its credentials are missing.
    pub provider: Option<SmsProvider>,
    /// `AUTH_SMS_TIMEOUT` (ours): longest wait for the provider.
    pub timeout: Duration,
}

/// Who sends SMS.
#[derive(Clone, Debug)]
pub enum SmsProvider {
    /// Sends our texts.
    Twilio(TwilioConfig),
    /// Makes, sends and checks codes of its own.
    TwilioVerify(TwilioConfig),
    Modica(ModicaConfig),
    /// Nobody: they are logged, and kept where mails are kept.
    Dev,
}

impl SmsConfig {
    /// `is_needed`: missing credentials stop the start only where SMS are sent.
    pub(in crate::config) fn read(reader: &mut Reader<'_>, is_needed: bool) -> Self {
        let provider = reader.text(&rows::sms::SMS_PROVIDER).to_ascii_lowercase();
        let twilio = read_twilio(reader);
        let modica = ModicaConfig {
            username: reader.text(&rows::sms::SMS_MODICA_USERNAME),
            password: reader.secret(&rows::sms::SMS_MODICA_PASSWORD),
            url: reader.required_url(&rows::sms::SMS_MODICA_URL),
        };
        let timeout = reader.duration(&rows::sms::SMS_TIMEOUT, false);
        let provider = match provider.as_str() {
            "" | "twilio" => twilio,
            "modica" if modica.username.is_empty() => None,
            "modica" if modica.password.expose_secret().is_empty() => None,
            "modica" => Some(SmsProvider::Modica(modica)),
            "dev" => Some(SmsProvider::Dev),
            _ => {
                reader.refuse(&rows::sms::SMS_PROVIDER, "one of twilio, modica, dev is supported");
                return Self { provider: None, timeout };
            }
        };
        if is_needed && provider.is_none() {
            reader.refuse(
                &rows::sms::SMS_PROVIDER,
                "SMS are enabled, but the provider's credentials are missing \
                 (AUTH_SMS_TWILIO_* or AUTH_SMS_MODICA_*)",
            );
        }
        Self { provider, timeout }
    }
}

fn read_twilio(reader: &mut Reader<'_>) -> Option<SmsProvider> {
    let messages = reader.required_url(&rows::sms::SMS_TWILIO_URL);
    let verify = reader.required_url(&rows::sms::SMS_TWILIO_VERIFY_URL);
    let twilio = TwilioConfig {
        account_sid: reader.text(&rows::sms::SMS_TWILIO_ACCOUNT_SID),
        auth_token: reader.secret(&rows::sms::SMS_TWILIO_AUTH_TOKEN),
        service: reader.text(&rows::sms::SMS_TWILIO_MESSAGING_SERVICE_ID),
        url: messages,
    };
    let is_complete = !twilio.account_sid.is_empty()
        && !twilio.auth_token.expose_secret().is_empty()
        && !twilio.service.is_empty();
    // The reference looks at the account, where such a name makes no sense; services have it.
    let verifies = [&twilio.account_sid, &twilio.service].iter().any(|sid| sid.starts_with("VA"));
    is_complete.then(|| {
        if verifies {
            SmsProvider::TwilioVerify(TwilioConfig { url: verify, ..twilio })
        } else {
            SmsProvider::Twilio(twilio)
        }
    })
}
