//! Reads `codeChallenge` from a query: sign-in with providers and mailed links take it.

use super::extract::Parameters;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::error::AuthError;

/// `codeChallenge`: a code is wanted instead of a refresh token.
pub fn code_challenge(query: &Parameters<'_>) -> Result<Option<CodeChallenge>, AuthError> {
    let text = query.optional("codeChallenge")?.map(ToOwned::to_owned);
    text.map(CodeChallenge::try_from).transpose().map_err(|_| {
        AuthError::InvalidRequest(
            "query parameter codeChallenge: not 43 characters of base64url".to_owned(),
        )
    })
}
