//! Twilio: SMS by Messages, and codes by Verify.

use std::time::Duration;

use reqwest::Response;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::{ClientError, read};

/// `AUTH_SMS_TWILIO_*`.
#[derive(Clone, Debug)]
pub struct TwilioConfig {
    pub account_sid: String,
    pub auth_token: SecretString,
    /// `AUTH_SMS_TWILIO_MESSAGING_SERVICE_ID`: a service or a number.
    pub service: String,
    /// `AUTH_SMS_TWILIO_URL` or `AUTH_SMS_TWILIO_VERIFY_URL` (ours).
    pub url: Url,
}

/// What Verify says about a code.
#[derive(Deserialize)]
struct VerificationCheck {
    #[serde(default)]
    status: String,
}

/// Sends a text.
pub async fn send_message(
    client: &reqwest::Client,
    config: &TwilioConfig,
    limit: Duration,
    to: &str,
    text: &str,
) -> Result<(), ClientError> {
    let path = ["2010-04-01", "Accounts", &config.account_sid, "Messages.json"];
    let form = [("To", to), ("From", &config.service), ("Body", text)];
    post(client, config, limit, &path, &form).await.map(drop)
}

/// Lets Verify make a code and send it.
pub async fn start_verification(
    client: &reqwest::Client,
    config: &TwilioConfig,
    limit: Duration,
    to: &str,
    locale: &str,
) -> Result<(), ClientError> {
    let path = ["v2", "Services", &config.service, "Verifications"];
    let form = [("To", to), ("Channel", "sms"), ("Locale", locale)];
    post(client, config, limit, &path, &form).await.map(drop)
}

/// Whether Verify takes the code. Where it knows of no verification that is pending, it does not.
pub async fn check_verification(
    client: &reqwest::Client,
    config: &TwilioConfig,
    limit: Duration,
    to: &str,
    code: &str,
) -> Result<bool, ClientError> {
    let path = ["v2", "Services", &config.service, "VerificationCheck"];
    let response = match post(client, config, limit, &path, &[("To", to), ("Code", code)]).await {
        Ok(response) => response,
        Err(ClientError::Status(404)) => return Ok(false),
        Err(error) => return Err(error),
    };
    let body = timeout(limit, read(response)).await.map_err(|_| ClientError::TimedOut)??;
    let check: VerificationCheck =
        serde_json::from_slice(&body).map_err(|_| ClientError::Malformed)?;
    Ok(check.status == "approved")
}

async fn post(
    client: &reqwest::Client,
    config: &TwilioConfig,
    limit: Duration,
    path: &[&str],
    form: &[(&str, &str)],
) -> Result<Response, ClientError> {
    let request = client
        .post(join(&config.url, path))
        .basic_auth(&config.account_sid, Some(config.auth_token.expose_secret()))
        .form(form)
        .send();
    let response = timeout(limit, request).await.map_err(|_| ClientError::TimedOut)??;
    match response.status().as_u16() {
        200..400 => Ok(response),
        status => Err(ClientError::Status(status)),
    }
}

/// Each part becomes one segment, whatever is in it.
fn join(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut()
        .expect("the configuration takes http and https only")
        .pop_if_empty()
        .extend(path);
    url
}

#[cfg(test)]
mod tests {
    use crate::clients::twilio::*;

    #[test]
    fn no_part_of_a_path_leaves_its_segment() {
        let base = Url::parse("https://example.com/twilio/").unwrap();
        let url = join(&base, &["Accounts", "../x?y#z", "Messages.json"]);
        assert_eq!(
            url.as_str(),
            "https://example.com/twilio/Accounts/..%2Fx%3Fy%23z/Messages.json"
        );
    }
}
