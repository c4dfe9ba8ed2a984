//! Where a link leads in the end, and what its visitor brings there.

use super::code_challenge::CodeChallenge;
use super::error::ErrorCode;
use super::redirect::RedirectRules;

/// Where a link leads in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReturnTarget {
    /// Allowed target, or the client URL.
    pub redirect_to: String,
    /// A code is brought there that only its owner can exchange; without one, a refresh token.
    pub code_challenge: Option<CodeChallenge>,
}

impl ReturnTarget {
    /// Whether there is none: nothing was asked for, and there is no client URL.
    pub fn leads_nowhere(&self) -> bool {
        self.redirect_to.is_empty()
    }
}

/// What an application requests about it.
#[derive(Clone, Debug, Default)]
pub struct RequestedTarget {
    pub redirect_to: Option<String>,
    pub code_challenge: Option<CodeChallenge>,
}

impl RequestedTarget {
    /// The return target, if it is allowed.
    pub fn resolve(self, redirects: &RedirectRules) -> Result<ReturnTarget, ErrorCode> {
        let redirect_to = redirects.choose(self.redirect_to.as_deref())?;
        let target = ReturnTarget { redirect_to, code_challenge: self.code_challenge };
        if target.leads_nowhere() { Err(ErrorCode::RedirectToNotAllowed) } else { Ok(target) }
    }
}
