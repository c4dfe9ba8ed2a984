//! Quotes around whole values, which some programs that read env files keep (Docker's `--env-file`)
//! and some do not (shells, Compose).

use crate::config::rows::database::{POSTGRES_CONNECTION, POSTGRES_MIGRATIONS_CONNECTION};
use crate::settings::{Kind, Setting};

/// The text between matching quotes at both ends.
pub(in crate::config) fn between(text: &str) -> Option<&str> {
    let text = text.trim();
    ['"', '\'']
        .iter()
        .find_map(|quote| text.strip_prefix(*quote).and_then(|rest| rest.strip_suffix(*quote)))
}

/// Whether they belong to the value all the same. They may: of a secret, only its owner knows, and
/// other programs may use it together with its quotes.
pub(in crate::config) fn may_be_meant(setting: &Setting) -> bool {
    let is_connection =
        *setting == POSTGRES_CONNECTION || *setting == POSTGRES_MIGRATIONS_CONNECTION;
    setting.secret && setting.kind == Kind::Text && !is_connection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_matching_quotes_at_both_ends_are_quotes() {
        for (text, inner) in [
            ("\"a\"", Some("a")),
            ("'a b'", Some("a b")),
            ("''", Some("")),
            (" \"a\" ", Some("a")),
            ("'{\"a\":1}'", Some("{\"a\":1}")),
            ("\"a'", None),
            ("\"", None),
            ("a", None),
            ("a\"b\"", None),
            ("", None),
        ] {
            assert_eq!(between(text), inner, "{text}");
        }
    }
}
