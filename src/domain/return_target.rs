//! Where somebody ends up who follows a link, and what they bring there.

use super::code_challenge::CodeChallenge;
use super::error::ErrorCode;
use super::redirect::RedirectRules;

/// Where a link leads in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landing {
    /// Allowed target, or the client URL.
    pub redirect_to: String,
    /// A code is brought there that only its owner can exchange; without one, a refresh token.
    pub code_challenge: Option<CodeChallenge>,
}

/// What an application asks for about it.
#[derive(Clone, Debug, Default)]
pub struct LandingWish {
    pub redirect_to: Option<String>,
    pub code_challenge: Option<CodeChallenge>,
}

impl LandingWish {
    /// The landing, if the target is allowed.
    pub fn resolve(self, redirects: &RedirectRules) -> Result<Landing, ErrorCode> {
        let redirect_to = redirects.choose(self.redirect_to.as_deref())?;
        Ok(Landing { redirect_to, code_challenge: self.code_challenge })
    }
}
