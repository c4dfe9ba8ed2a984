//! Takes connection strings apart. No error repeats any part of the text, which has a password in it.

use super::{ConnectionStringError, first_of};

type Pairs = Vec<(String, String)>;

/// Takes off quotes that an env file has left around the whole.
pub(super) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.trim();
        }
    }
    text
}

/// Names and values in the order in which they stand, of either form.
pub(super) fn pairs(text: &str) -> Result<Pairs, ConnectionStringError> {
    let text = unquoted(text);
    match ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => pairs_of_url(rest),
        None => pairs_of_keywords(text),
    }
}

fn wrong<T>(what: &'static str) -> Result<T, ConnectionStringError> {
    Err(ConnectionStringError::Syntax(what))
}

/// `user:password@host:port,host:port/database?name=value&name=value`.
fn pairs_of_url(text: &str) -> Result<Pairs, ConnectionStringError> {
    const UNESCAPED: &str = "in a user name or a password, `/`, `?`, `#`, `@`, `:` and `%` are \
                             written %2F, %3F, %23, %40, %3A and %25";
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (authority, tail) = text.split_at(end);
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    if tail.contains('#') || path.contains('@') {
        return wrong(UNESCAPED);
    }
    let mut pairs = Pairs::new();
    let mut add = |name: &str, part: &str| {
        if !part.is_empty() {
            pairs.push((name.to_owned(), decoded(part)?));
        }
        Ok(())
    };
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    if user.contains('@') || password.contains('@') {
        return wrong(UNESCAPED);
    }
    add("user", user)?;
    add("password", password)?;
    let (host, port) = host_and_port(first_of("host", hosts))?;
    add("host", host)?;
    add("port", port)?;
    add("dbname", path.strip_prefix('/').unwrap_or(path))?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return wrong("a parameter without `=` behind the `?`");
        };
        if name.contains('@') {
            return wrong(UNESCAPED);
        }
        // As in forms, and as the reference's driver reads it: a plus is a blank here.
        let value = decoded(&value.replace('+', " "))?;
        pairs.push((decoded(&name.replace('+', " "))?, value));
    }
    Ok(pairs)
}

/// Brackets stand around addresses that have colons themselves.
fn host_and_port(text: &str) -> Result<(&str, &str), ConnectionStringError> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((host, port)) = rest.split_once(']') else {
            return wrong("a `[` in the host is not closed");
        };
        return match port.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if port.is_empty() => Ok((host, "")),
            None => wrong("there is text behind the `]` of the host"),
        };
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

fn decoded(part: &str) -> Result<String, ConnectionStringError> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |at: usize| more.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let Some(byte) = digit(0).zip(digit(1)).and_then(|(a, b)| u8::try_from(a * 16 + b).ok())
        else {
            return wrong("a `%` stands for itself only as %25");
        };
        bytes.push(byte);
        rest = &more[2..];
    }
    text_of(String::from_utf8(bytes).ok())
}

/// Postgres ends its texts with a zero byte.
fn text_of(text: Option<String>) -> Result<String, ConnectionStringError> {
    match text {
        Some(text) if !text.contains('\0') => Ok(text),
        Some(_) => wrong("it has a zero byte"),
        None => wrong("what is percent-encoded is not UTF-8"),
    }
}

/// `key = value key='quoted \' value'`, libpq's other form.
fn pairs_of_keywords(text: &str) -> Result<Pairs, ConnectionStringError> {
    let mut rest = text;
    let mut pairs = Pairs::new();
    while !rest.is_empty() {
        let Some((name, after)) = rest.split_once('=') else { return wrong("a word without `=`") };
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return wrong("a word without `=`");
        }
        let Some((value, after)) = keyword_value(after.trim_start()) else {
            return wrong("a quote is not closed");
        };
        pairs.push((name.to_owned(), text_of(Some(value))?));
        rest = after.trim_start();
    }
    Ok(pairs)
}

fn keyword_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, ""))
}

/// What `options` holds: settings of the session, and words for whoever reads them on the way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Switches {
    pub(super) settings: Pairs,
    /// As they were written, for the start-up message: `endpoint=…` of Neon's proxy.
    pub(super) others: Vec<String>,
}

/// `-c a=b --c=d`; blanks in values have a backslash before them, as has a backslash.
pub(super) fn switches(text: &str) -> Option<Switches> {
    let mut found = Switches::default();
    let mut words = words(text)?.into_iter();
    while let Some(word) = words.next() {
        let setting = match word.as_str() {
            "-c" => words.next()?,
            word => {
                let setting = word.strip_prefix("--").or_else(|| word.strip_prefix("-c"));
                let Some(setting) = setting else {
                    found.others.push(word.replace('\\', "\\\\").replace(' ', "\\ "));
                    continue;
                };
                setting.to_owned()
            }
        };
        let (name, value) = setting.split_once('=')?;
        // As Postgres reads its command line.
        found.settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Some(found)
}

fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}
