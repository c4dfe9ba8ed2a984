//! Avatar addresses of new users (`AUTH_GRAVATAR_*`).

use std::fmt::Write as _;

use md5::{Digest, Md5};

use super::email::EmailAddress;

/// How avatar addresses are made.
#[derive(Clone, Debug)]
pub struct Gravatar {
    /// `AUTH_GRAVATAR_ENABLED`; off gives the empty address.
    pub enabled: bool,
    /// `AUTH_GRAVATAR_DEFAULT`: image for addresses without one.
    pub default: String,
    /// `AUTH_GRAVATAR_RATING`.
    pub rating: String,
}

impl Gravatar {
    /// The avatar address for a new user; empty when gravatars are off.
    pub fn url_for(&self, email: &EmailAddress) -> String {
        if !self.enabled {
            return String::new();
        }
        let mut url = String::from("https://www.gravatar.com/avatar/");
        // MD5 is Gravatar's name for an address, no protection of it.
        for byte in Md5::digest(email.to_lower_case().as_bytes()) {
            write!(url, "{byte:02x}").expect("a String can always be written to");
        }
        write!(url, "?d={}&r={}", self.default, self.rating)
            .expect("a String can always be written to");
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gravatar(enabled: bool) -> Gravatar {
        Gravatar { enabled, default: "retro".to_owned(), rating: "g".to_owned() }
    }

    #[test]
    fn the_hash_is_of_the_lower_case_address() {
        for typed in ["test@example.com", "Test@Example.COM"] {
            assert_eq!(
                gravatar(true).url_for(&EmailAddress::parse(typed).unwrap()),
                "https://www.gravatar.com/avatar/55502f40dc8b7c769880b10874abc9d0?d=retro&r=g"
            );
        }
    }

    #[test]
    fn switched_off_it_is_empty() {
        assert_eq!(gravatar(false).url_for(&EmailAddress::parse("a@b.de").unwrap()), "");
    }
}
