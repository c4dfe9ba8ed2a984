//! The file of `NAME=value` lines that `AUTH_ENV_FILE` names.
//!
//! Lines may begin with `export `; blank lines and lines that begin with `#` are skipped. A value
//! is taken as it is, blanks at its ends aside, `#` included. In single quotes everything is
//! literal; in double quotes a backslash takes away the meaning of `"`, `\`, `$` and a back-quote
//! and stays before anything else, as in a shell, so that the `\n` of JSON survives. Nothing is
//! expanded.

use std::collections::HashMap;

/// The variables of a file, or the number of the line that cannot be read and why.
///
/// The reason never repeats the line, which may hold a secret.
pub(crate) fn parse(text: &str) -> Result<HashMap<String, String>, (usize, &'static str)> {
    let mut variables = HashMap::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = parse_line(line).map_err(|reason| (index + 1, reason))?;
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

fn parse_line(line: &str) -> Result<(&str, String), &'static str> {
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    };
    let (name, value) = line.split_once('=').ok_or("expected NAME=value")?;
    let name = name.trim_end();
    let is_name = !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    if !is_name {
        return Err("the name may contain letters, digits and underscores only");
    }
    let value = value.trim_start();
    let value = match value.chars().next() {
        Some('\'') => single_quoted(&value[1..])?,
        Some('"') => double_quoted(&value[1..])?,
        _ => value.to_owned(),
    };
    Ok((name, value))
}

const OPEN: &str = "the closing quote is missing";

fn single_quoted(text: &str) -> Result<String, &'static str> {
    let (value, rest) = text.split_once('\'').ok_or(OPEN)?;
    nothing_but_a_comment(rest)?;
    Ok(value.to_owned())
}

fn double_quoted(text: &str) -> Result<String, &'static str> {
    let mut value = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                nothing_but_a_comment(characters.as_str())?;
                return Ok(value);
            }
            '\\' => match characters.next().ok_or(OPEN)? {
                escaped @ ('"' | '\\' | '$' | '`') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    Err(OPEN)
}

fn nothing_but_a_comment(rest: &str) -> Result<(), &'static str> {
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(())
    } else {
        Err("there is text behind the closing quote")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hold_names_and_values_in_or_without_quotes() {
        let file = "\u{feff}# a comment\n\nA=1\r\n  export B = two words  \nC='it''s'\n";
        assert_eq!(parse(file), Err((5, "there is text behind the closing quote")));
        let file = r#"
A=1
 export B = two words#3
C='$HOME "\n"' # comment
D="{\"key\":\"-----\nx\"} \\ \$"
E=
F=a=b
exported=yes
"#;
        let variables = parse(file).unwrap();
        for (name, value) in [
            ("A", "1"),
            ("B", "two words#3"),
            ("C", r#"$HOME "\n""#),
            ("D", r#"{"key":"-----\nx"} \ $"#),
            ("E", ""),
            ("F", "a=b"),
            ("exported", "yes"),
        ] {
            assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    /// A short run of what the fuzzer does for as long as it is let.
    #[test]
    fn unreadable_lines_are_named_by_their_number() {
        for (file, line) in
            [("A", 1), ("\n1A=x", 2), ("A=1\nB='x", 2), ("A=\"x", 1), ("A=\"x\\", 1), ("A B=1", 1)]
        {
            assert_eq!(parse(file).unwrap_err().0, line, "{file}");
        }
    }
}
