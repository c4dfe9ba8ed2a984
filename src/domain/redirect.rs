//! Where users may be sent after a flow (`AUTH_CLIENT_URL`, `AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS`).

use std::sync::Arc;

use url::Url;

use super::error::ErrorCode;
use super::redirect_pattern::{Pattern, Target};

/// The allowed targets; the client URL is the default and the first of them.
#[derive(Clone, Debug)]
pub struct RedirectRules {
    client_url: String,
    patterns: Arc<[Pattern]>,
}

/// A pattern that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid redirect pattern \"{pattern}\": {reason}")]
pub struct RedirectRuleError {
    /// The entry as configured.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl RedirectRules {
    /// Compiles the patterns; an empty client URL allows nothing by itself.
    ///
    /// Of the client URL what is before its query and its fragment stands for everything below it.
    pub fn new(client_url: &str, allowed: &[String]) -> Result<Self, RedirectRuleError> {
        let mut patterns = Vec::with_capacity(allowed.len() + 1);
        let base = client_url.split(['?', '#']).next().unwrap_or_default();
        let entries = std::iter::once(base).chain(allowed.iter().map(String::as_str));
        for entry in entries.filter(|entry| !entry.is_empty()) {
            let compiled = Pattern::compile(entry)
                .map_err(|reason| RedirectRuleError { pattern: entry.to_owned(), reason })?;
            patterns.extend(compiled);
        }
        Ok(Self { client_url: client_url.to_owned(), patterns: patterns.into() })
    }

    /// The requested target if it is allowed; without one the client URL, which is not checked.
    pub fn choose(&self, wanted: Option<&str>) -> Result<String, ErrorCode> {
        match wanted {
            None => Ok(self.client_url.clone()),
            Some(url) if self.is_allowed(url) => Ok(url.to_owned()),
            Some(_) => Err(ErrorCode::RedirectToNotAllowed),
        }
    }

    /// Whether users may be sent there: to the client URL itself, and where a pattern leads, for which
    /// query and fragment do not matter.
    pub fn is_allowed(&self, url: &str) -> bool {
        let is_client_url = !url.is_empty() && url == self.client_url;
        is_client_url
            || Target::parse(url)
                .is_some_and(|target| self.patterns.iter().any(|pattern| pattern.matches(&target)))
    }

    /// `AUTH_CLIENT_URL` as configured; empty when unset.
    pub fn client_url(&self) -> &str {
        &self.client_url
    }
}

/// Whether users can be sent there at all, whatever the rules say: an address with a scheme, in a form
/// of which there is one reading.
pub fn is_target(url: &str) -> bool {
    Url::parse(url).is_ok() && Target::parse(url).is_some_and(|target| target.has_scheme())
}

/// Sets query parameters of a target, replacing those of the same name.
///
/// The whole query is decoded, encoded again and sorted by key; the fragment stays last.
pub fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let (rest, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut parameters: Vec<(Vec<u8>, Vec<u8>)> = query
        .split('&')
        // A raw semicolon may separate parameters elsewhere, so such a segment is not trusted.
        .filter(|segment| !segment.is_empty() && !segment.contains(';'))
        .filter_map(|segment| {
            let (key, value) = segment.split_once('=').unwrap_or((segment, ""));
            Some((decode(key)?, decode(value)?))
        })
        .filter(|(key, _)| pairs.iter().all(|(name, _)| name.as_bytes() != key))
        .collect();
    parameters.extend(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    parameters.sort_by(|(one, _), (other, _)| one.cmp(other));

    let mut target = base.to_owned();
    for (at, (key, value)) in parameters.iter().enumerate() {
        target.push(if at == 0 { '?' } else { '&' });
        encode(key, &mut target);
        target.push('=');
        encode(value, &mut target);
    }
    target + fragment
}

/// The host of a target as browsers read it, in ASCII; the scheme of one that has none.
pub fn host_of(target: &str) -> String {
    match Url::parse(target) {
        Ok(url) => {
            url.host_str().filter(|host| !host.is_empty()).unwrap_or(url.scheme()).to_owned()
        }
        // Without a scheme the host comes first.
        Err(_) => target.split(['/', '?', '#']).next().unwrap_or_default().to_owned(),
    }
}

/// Form decoding; `None` for a broken percent escape.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high << 4 | low).ok()?
            }
            _ => byte,
        });
    }
    Some(decoded)
}

/// Form encoding that keeps exactly the unreserved characters of RFC 3986.
fn encode(bytes: &[u8], text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        match byte {
            b' ' => text.push('+'),
            b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => {
                text.push('%');
                text.push(char::from(DIGITS[usize::from(byte >> 4)]));
                text.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests;
