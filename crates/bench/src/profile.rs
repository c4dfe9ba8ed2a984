//! The profile a server was built with: results of a build for development say little.

use std::time::Duration;

use http::header::HOST;
use reqwest::redirect::Policy;

use crate::target::Target;

/// Header of the response to `GET /version` that names the profile.
const HEADER: &str = "x-keywright-profile";
/// The profile of what is shipped.
const SHIPPED: &str = "dist";
/// Longest name that is believed.
const MAX_LENGTH: usize = 32;

/// Asks the server for its profile; `None` if it does not name one, as other servers do not.
pub async fn server_profile(target: &Target, timeout: Duration) -> Option<String> {
    // Sent to the address that was checked, whatever proxies are configured.
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(timeout)
        .build()
        .ok()?;
    let url = format!("http://{}{}/version", target.address, target.prefix);
    let response = client.get(url).header(HOST, &target.host).send().await.ok()?;
    let name = response.headers().get(HEADER)?.to_str().ok()?;
    is_name(name).then(|| name.to_owned())
}

/// What a table says behind the address of a server.
pub fn label(profile: Option<&str>) -> String {
    format!("(profile {})", profile.unwrap_or("unknown"))
}

/// The warning about a server with this profile, unless its results count or it names none.
pub fn warning(profile: Option<&str>) -> Option<String> {
    let profile = profile.filter(|&profile| profile != SHIPPED)?;
    Some(format!(
        "WARNING: results of a {profile} build say little; build with --profile {SHIPPED}"
    ))
}

/// The warning about this load generator, if it is a build for development itself.
pub const fn own_warning() -> Option<&'static str> {
    if cfg!(debug_assertions) {
        Some(
            "WARNING: this load generator is a debug build, so its results say little; build with \
             --profile dist",
        )
    } else {
        None
    }
}

/// Whether it may be shown on a terminal.
fn is_name(text: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    (1..=MAX_LENGTH).contains(&text.len()) && text.chars().all(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_build_that_is_not_shipped_is_warned_of() {
        assert_eq!(warning(Some("dist")), None);
        assert_eq!(warning(None), None);
        for profile in ["dev", "release"] {
            assert!(warning(Some(profile)).unwrap().contains(profile));
        }
    }

    #[test]
    fn a_name_has_no_control_characters_and_an_end() {
        assert!(is_name("dev") && is_name("my-profile_2"));
        let long = "x".repeat(MAX_LENGTH + 1);
        for bad in ["", "a b", "\u{1b}[31m", long.as_str()] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
