//! Who somebody is to a provider, in the five values that sign-in needs.

use serde_json::Value;

use crate::domain::email::EmailAddress;

/// Longest name that is stored; providers allow more than anybody would display.
const MAX_NAME: usize = 255;

/// Longest address of a picture that is stored.
const MAX_PICTURE: usize = 2_048;

/// Longest id of an account that is stored.
const MAX_SUBJECT: usize = 255;

/// What a provider says about the owner of an address
/// (docs/reference-behaviour.md#email-assurance).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailAssurance {
    /// The provider has verified that the address is theirs.
    Verified,
    /// It has not.
    Unverified,
    /// It does not tell; treated as unverified unless the operator trusts it.
    Unknown,
}

impl EmailAssurance {
    /// From a flag that is there or not.
    pub const fn from_flag(is_verified: bool) -> Self {
        if is_verified { Self::Verified } else { Self::Unverified }
    }
}

/// An account at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The provider's own id of the account; never changes and is never reused.
    pub subject: String,
    pub email: Option<String>,
    /// Of `email`; without one it means nothing.
    pub email_assurance: EmailAssurance,
    pub name: Option<String>,
    /// Address of a picture.
    pub picture: Option<String>,
}

/// The responses of a provider, for the mapping function.
#[derive(Clone, Debug, Default)]
pub struct ProviderResponses {
    /// The profile, or the claims of the id token.
    pub profile: Value,
    /// The response about e-mail addresses, from providers that keep them apart.
    pub emails: Value,
    /// This application may not see addresses, or there are none to see.
    pub hides_emails: bool,
    /// `user` of a form post (Apple, at the first authorization only).
    pub form_user: Value,
}

/// Why a response is no profile. Never says what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    #[error("the profile has no id")]
    NoId,
    #[error("the profile has no confirmed address")]
    NoConfirmedEmail,
    #[error("the profile, or a list that belongs to it, is empty")]
    Empty,
}

impl Profile {
    /// Drops what cannot be stored: addresses that are none, endless names, pictures elsewhere than
    /// on the web.
    pub fn cleaned(self) -> Result<Self, ProfileError> {
        let subject = self.subject.trim();
        if subject.is_empty() || subject.len() > MAX_SUBJECT || subject.contains('\0') {
            return Err(ProfileError::NoId);
        }
        let name = self.name.map(|name| {
            let name: String = name.chars().filter(|letter| !letter.is_control()).collect();
            let name = name.trim();
            name[..name.floor_char_boundary(MAX_NAME)].to_owned()
        });
        Ok(Self {
            subject: subject.to_owned(),
            email: self
                .email
                .and_then(|email| EmailAddress::parse(email.trim()).ok())
                .map(EmailAddress::into_string),
            email_assurance: self.email_assurance,
            name: name.filter(|name| !name.is_empty()),
            picture: self.picture.filter(|picture| is_web_address(picture)),
        })
    }
}

fn is_web_address(text: &str) -> bool {
    text.len() <= MAX_PICTURE
        && url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile {
            subject: " 42 ".to_owned(),
            email: Some(" a@x.test ".to_owned()),
            email_assurance: EmailAssurance::Verified,
            name: Some(" A\nB ".to_owned()),
            picture: Some("https://x.test/a.png".to_owned()),
        }
    }

    #[test]
    fn texts_are_trimmed_and_what_cannot_be_stored_is_dropped() {
        let clean = profile().cleaned().unwrap();
        assert_eq!(clean.subject, "42");
        assert_eq!(clean.email.as_deref(), Some("a@x.test"));
        assert_eq!(clean.name.as_deref(), Some("AB"));
        assert_eq!(clean.picture.as_deref(), Some("https://x.test/a.png"));
        let odd = Profile {
            email: Some("no address".to_owned()),
            name: Some(" \t ".to_owned()),
            picture: Some("javascript:alert(1)".to_owned()),
            ..profile()
        };
        let clean = odd.cleaned().unwrap();
        assert_eq!((clean.email, clean.name, clean.picture), (None, None, None));
        let long = Profile { name: Some("é".repeat(400)), ..profile() }.cleaned().unwrap();
        assert_eq!(long.name.map(|name| name.len()), Some(254));
    }

    #[test]
    fn without_an_id_there_is_no_profile() {
        for subject in ["", "  ", "a\0b", &"x".repeat(300)] {
            let nobody = Profile { subject: subject.to_owned(), ..profile() };
            assert_eq!(nobody.cleaned(), Err(ProfileError::NoId));
        }
    }
}
