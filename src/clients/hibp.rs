//! Have I Been Pwned: whether a password is known from leaks, without telling it to anybody.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use reqwest::header::HeaderName;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use url::Url;
use zeroize::Zeroizing;

use super::{ClientError, read};

/// Further tries when the service has too much to do.
const RETRIES: u32 = 3;

/// Asks for responses of one length, so that an observer of the connection learns nothing from it.
const ADD_PADDING: HeaderName = HeaderName::from_static("add-padding");

/// Have I Been Pwned.
#[derive(Clone, Debug)]
pub struct HibpConfig {
    /// `AUTH_PASSWORD_HIBP_URL` (ours): what stands before `/range/…`.
    pub url: Url,
    /// `AUTH_PASSWORD_HIBP_TIMEOUT` (ours): for all tries together.
    pub timeout: Duration,
    /// `AUTH_PASSWORD_HIBP_RETRY_DELAY` (ours): before asking again after a 429.
    pub retry_delay: Duration,
}

/// Whether the service lists this password. Only the first 20 bits of its hash leave the process.
pub async fn is_known(
    client: &reqwest::Client,
    config: &HibpConfig,
    password: &SecretString,
) -> Result<bool, ClientError> {
    let hash = hash(password);
    let (prefix, suffix) = hash.split_at(5);
    let url = format!("{}/range/{prefix}", config.url.as_str().trim_end_matches('/'));
    let lines = timeout(config.timeout, ask(client, config, &url))
        .await
        .map_err(|_| ClientError::TimedOut)??;
    Ok(lists(&lines, suffix))
}

#[expect(clippy::disallowed_methods, reason = "the pause that the service asks for, bounded")]
async fn ask(
    client: &reqwest::Client,
    config: &HibpConfig,
    url: &str,
) -> Result<bytes::Bytes, ClientError> {
    let mut left = RETRIES;
    loop {
        let response = client.get(url).header(ADD_PADDING, "true").send().await?;
        match response.status().as_u16() {
            200 => return read(response).await,
            429 if left > 0 => left -= 1,
            status => return Err(ClientError::Status(status)),
        }
        tokio::time::sleep(config.retry_delay).await;
    }
}

/// Upper-case hexadecimal, as the service wants it.
fn hash(password: &SecretString) -> Zeroizing<String> {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.expose_secret().as_bytes());
    let mut text = Zeroizing::new(String::with_capacity(40));
    for byte in hash.as_ref() {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

/// Lines are `SUFFIX:COUNT`; a count of 0 is padding.
fn lists(lines: &[u8], suffix: &str) -> bool {
    lines.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii();
        let Some((found, count)) = line.split_at_checked(suffix.len()) else { return false };
        found == suffix.as_bytes() && count.first() == Some(&b':') && count != b":0"
    })
}

#[cfg(test)]
mod tests {
    use crate::clients::hibp::*;

    #[test]
    fn the_hash_is_upper_case_and_whole() {
        let hash = hash(&SecretString::from("password"));
        assert_eq!(*hash, "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8");
    }

    #[test]
    fn only_the_same_suffix_counts_and_padding_does_not() {
        let lines = b"0018A45C4D1DEF81644B54AB7F969B88D65:10\r\nAAAA:3\nBBBB:0\r\n";
        assert!(lists(lines, "0018A45C4D1DEF81644B54AB7F969B88D65"));
        assert!(lists(lines, "AAAA"));
        assert!(!lists(lines, "AAA"), "a part of a line is none");
        assert!(!lists(lines, "BBBB"), "padding");
        assert!(!lists(b"", "AAAA"));
    }
}
