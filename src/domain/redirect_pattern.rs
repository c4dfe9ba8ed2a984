//! One allowed redirect target: a glob, split into scheme, host, port and path before it is compiled.
//!
//! The parts are matched one by one, so that no wildcard of the host can reach into user info, port or path.

use regex::Regex;
use url::{Host, Url};

/// Most patterns that the alternatives of one entry may unfold to.
const MAX_ALTERNATIVES: usize = 256;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    scheme: Option<Regex>,
    /// Of the form `scheme:/path`, which has no host.
    is_bare: bool,
    host: Regex,
    port: Port,
    path: Regex,
}

#[derive(Clone, Debug)]
enum Port {
    /// No port in the pattern: none, or the default one of the value's scheme.
    Default,
    /// This port; a value without one has its scheme's default.
    Exactly(String),
    /// A wildcard: the value must write a port.
    Like(Regex),
    /// Not a URL of the web: the port, if any, is part of `host`.
    Unparsed,
}

/// A candidate, cut where the query or the fragment begins.
pub(super) struct Target<'a> {
    scheme: Option<String>,
    /// Of the form `scheme:/path`, as applications on phones have it (RFC 8252 section 7.1).
    is_bare: bool,
    /// In lower case and, for http(s), as browsers will read it.
    host: String,
    /// What follows the colon; for other schemes it stays in `host`.
    port: Option<&'a str>,
    path: &'a str,
}

impl Pattern {
    /// Compiles one configured entry; alternatives in braces give one pattern each.
    pub(super) fn compile(entry: &str) -> Result<Vec<Self>, &'static str> {
        let mut unfolded = Vec::new();
        unfold(&with_everything_below(without_query(entry)), &mut unfolded)?;
        unfolded.iter().map(|glob| Self::compile_one(glob)).collect()
    }

    fn compile_one(glob: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = match glob.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_lowercase()), rest),
            None => match split_bare(glob) {
                Some((scheme, path)) => {
                    return Ok(Self {
                        scheme: Some(translate(&scheme)?),
                        is_bare: true,
                        host: translate("")?,
                        port: Port::Unparsed,
                        path: translate(path)?,
                    });
                }
                None => (None, glob),
            },
        };
        let (authority, path) = split_path(rest);
        // Braces are gone, so a wildcard is the only way to cover http with more than its name.
        let is_web = match &scheme {
            None => false,
            Some(scheme) => {
                let regex = translate(scheme)?;
                regex.is_match("http") || regex.is_match("https")
            }
        };
        let (host, port) = if is_web { split_port(authority) } else { (authority, None) };
        Ok(Self {
            scheme: scheme.as_deref().map(translate).transpose()?,
            is_bare: false,
            host: translate_host(host)?,
            port: match port {
                None if is_web => Port::Default,
                None => Port::Unparsed,
                Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    Port::Exactly(digits.to_owned())
                }
                Some(glob) => Port::Like(translate(glob)?),
            },
            // Only `scheme://**` has nothing after the authority: everything is below it.
            path: translate(if path.is_empty() { "/**" } else { path })?,
        })
    }

    pub(super) fn matches(&self, target: &Target<'_>) -> bool {
        let scheme_matches = match (&self.scheme, &target.scheme) {
            (None, None) => true,
            (Some(pattern), Some(scheme)) => pattern.is_match(scheme),
            _ => false,
        };
        scheme_matches
            && self.is_bare == target.is_bare
            && self.host.is_match(&target.host)
            && self.port.matches(target)
            && (self.path.is_match(target.path) || self.path.is_match(&format!("{}/", target.path)))
    }
}

impl Port {
    fn matches(&self, target: &Target<'_>) -> bool {
        let default = target.scheme.as_deref().and_then(default_port);
        match self {
            Self::Default => target.port.is_none() || target.port == default,
            Self::Exactly(port) => target.port.or(default) == Some(port),
            Self::Like(pattern) => target.port.is_some_and(|port| pattern.is_match(port)),
            Self::Unparsed => target.port.is_none(),
        }
    }
}

impl<'a> Target<'a> {
    /// `None` for what must never be a target, whatever the patterns say.
    pub(super) fn parse(value: &'a str) -> Option<Self> {
        // Line breaks would end up in headers, and browsers read a backslash as a slash.
        let is_dangerous = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if value.contains(is_dangerous) {
            return None;
        }
        // Redirects are ASCII, so there must be a URL to be written.
        if !value.is_ascii() && Url::parse(value).is_err() {
            return None;
        }
        let value = value.split(['?', '#']).next()?;
        if value.split('/').any(is_dot_segment) {
            return None;
        }
        let Some((scheme, rest)) = value.split_once("://") else {
            return match split_bare(value) {
                Some((scheme, path)) => Some(Self {
                    scheme: Some(scheme),
                    is_bare: true,
                    host: String::new(),
                    port: None,
                    path,
                }),
                None => Self::parse_relative(value),
            };
        };
        // Browsers read `https:/evil.example://app.example.com` as an address of `evil.example`.
        if !is_scheme(scheme) {
            return None;
        }
        let scheme = scheme.to_lowercase();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if default_port(&scheme).is_none() {
            // Nothing says how such a host is read.
            if !authority.is_ascii() {
                return None;
            }
            return Some(Self {
                scheme: Some(scheme),
                is_bare: false,
                host: authority.to_lowercase(),
                port: None,
                path,
            });
        }
        let (host, port) = split_port(authority);
        let has_odd_port = port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit()));
        if host.is_empty() || authority.contains('@') || has_odd_port {
            return None;
        }
        // As browsers will read it: percent escapes decoded, full-width letters and dots folded.
        let host = Url::parse(&format!("{scheme}://{host}/")).ok()?.host_str()?.to_owned();
        Some(Self { scheme: Some(scheme), is_bare: false, host, port, path })
    }

    pub(super) const fn has_scheme(&self) -> bool {
        self.scheme.is_some()
    }

    /// A value without a scheme. With two slashes in front it would still name a host.
    fn parse_relative(value: &'a str) -> Option<Self> {
        if value.is_empty() || value.starts_with("//") {
            return None;
        }
        let (first, path) = value.split_at(value.find('/').unwrap_or(value.len()));
        Some(Self { scheme: None, is_bare: false, host: first.to_lowercase(), port: None, path })
            // `javascript:` and the like have a scheme after all.
            .filter(|_| !first.contains(':'))
    }
}

/// Browsers take `..` away together with what is before it, and so leave the place that was allowed.
fn is_dot_segment(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

fn default_port(scheme: &str) -> Option<&'static str> {
    match scheme {
        "http" => Some("80"),
        "https" => Some("443"),
        _ => None,
    }
}

/// Scheme, in lower case, and path of `scheme:/path`.
///
/// What browsers read as an address of the web all the same (`https:/evil.example`), or run or show
/// themselves, has no such form.
fn split_bare(text: &str) -> Option<(String, &str)> {
    const NOT_OF_APPLICATIONS: [&str; 14] = [
        "about",
        "blob",
        "data",
        "file",
        "filesystem",
        "ftp",
        "http",
        "https",
        "intent",
        "javascript",
        "vbscript",
        "view-source",
        "ws",
        "wss",
    ];
    let (scheme, path) = text.split_once(':')?;
    if !is_scheme(scheme) {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let is_of_application = !NOT_OF_APPLICATIONS.contains(&scheme.as_str());
    let is_path = path.starts_with('/') && !path.starts_with("//");
    (is_of_application && is_path).then_some((scheme, path))
}

/// RFC 3986 section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// An entry without its fragment and its query, which targets are compared without, too.
///
/// A question mark stands for a letter elsewhere; a query is known by the name and the `=` behind it.
fn without_query(entry: &str) -> &str {
    let entry = entry.split('#').next().unwrap_or_default();
    let is_query = |rest: &str| {
        let name = rest.find(['=', '?', '/', '&', '*', '{']);
        name.is_some_and(|end| end > 0 && rest.as_bytes()[end] == b'=')
    };
    let mut marks = entry.match_indices('?').map(|(at, _)| at);
    marks.find(|at| is_query(&entry[at + 1..])).map_or(entry, |at| &entry[..at])
}

/// Every entry means itself and everything below it.
fn with_everything_below(entry: &str) -> String {
    let suffix = if entry.ends_with("/**") {
        ""
    } else if entry.ends_with("/*") {
        "*"
    } else if entry.ends_with('/') {
        "**"
    } else {
        "/**"
    };
    format!("{entry}{suffix}")
}

/// Replaces the first outermost `{a,b}` by each of its alternatives, until none is left.
fn unfold(glob: &str, unfolded: &mut Vec<String>) -> Result<(), &'static str> {
    let mut depth = 0;
    let mut open = 0;
    let mut bounds = Vec::new();
    let mut escaped = false;
    for (at, c) in glob.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => {
                if depth == 0 {
                    open = at;
                    bounds.push(at + 1);
                }
                depth += 1;
            }
            ',' if depth == 1 => bounds.push(at + 1),
            '}' if depth == 0 => return Err("a closing brace has no opening one"),
            '}' if depth > 1 => depth -= 1,
            '}' => {
                bounds.push(at + 1);
                for pair in bounds.windows(2) {
                    let alternative = &glob[pair[0]..pair[1] - 1];
                    unfold(
                        &format!("{}{alternative}{}", &glob[..open], &glob[at + 1..]),
                        unfolded,
                    )?;
                }
                return Ok(());
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("an opening brace has no closing one");
    }
    if unfolded.len() == MAX_ALTERNATIVES {
        return Err("too many alternatives");
    }
    unfolded.push(glob.to_owned());
    Ok(())
}

/// Splits before the first slash that is not inside a character class.
fn split_path(rest: &str) -> (&str, &str) {
    let mut in_class = false;
    for (at, c) in rest.char_indices() {
        match c {
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => return rest.split_at(at),
            _ => {}
        }
    }
    (rest, "")
}

/// Splits at the last colon that is not inside brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Hosts are compared in lower case, and as browsers read them where they have no wildcard.
fn translate_host(host: &str) -> Result<Regex, &'static str> {
    let host = host.to_lowercase();
    let is_ipv6 = host.starts_with('[') && host.matches(':').count() >= 2;
    let is_literal = is_ipv6 || !host.contains(['*', '?', '[', '\\']);
    if is_literal && let Ok(parsed) = Host::parse(&host) {
        return anchored(&regex::escape(&parsed.to_string()));
    }
    translate(&host)
}

/// A glob with the separators `.` and `/` as an anchored regular expression.
fn translate(glob: &str) -> Result<Regex, &'static str> {
    let mut pattern = String::with_capacity(glob.len() * 2);
    let mut chars = glob.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                while chars.next_if_eq(&'*').is_some() {}
                pattern.push_str("(?s:.*)");
            }
            '*' => pattern.push_str("[^./]*"),
            '?' => pattern.push_str("[^./]"),
            '[' => push_class(&mut chars, &mut pattern)?,
            '\\' => {
                let literal = chars.next().ok_or("a backslash at the end")?;
                pattern.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
            }
            _ => pattern.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    anchored(&pattern)
}

/// `[abc]`, `[a-z]` or `[!a]`; the opening bracket is read already.
fn push_class(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    pattern: &mut String,
) -> Result<(), &'static str> {
    pattern.push('[');
    if chars.next_if_eq(&'!').is_some() {
        pattern.push('^');
    }
    let mut is_empty = true;
    while let Some(c) = chars.next() {
        let literal = match c {
            ']' if is_empty => return Err("an empty character class"),
            ']' => {
                pattern.push(']');
                return Ok(());
            }
            '-' => {
                pattern.push('-');
                continue;
            }
            '\\' => chars.next().ok_or("a backslash at the end")?,
            _ => c,
        };
        is_empty = false;
        if literal.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(literal);
    }
    Err("an opening bracket has no closing one")
}

fn anchored(pattern: &str) -> Result<Regex, &'static str> {
    Regex::new(&format!(r"\A(?:{pattern})\z")).map_err(|_| "not a valid pattern")
}
