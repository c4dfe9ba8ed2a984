//! Connection strings: nothing panics, and no message shows any part of the text, which has a password
//! in it.

use secrecy::SecretString;

use super::Target;
use crate::persistence::connection_string::{ConnectionString, ConnectionStringError};

pub(super) const TARGET: Target = Target {
    name: "connection_string",
    run,
    seeds: &[
        b"postgres://me:p%40ss@db.example:6432/app?sslmode=require&pool_max_conns=42&search_path=a,b",
        b"postgres://u:p@/db?host=/dir&port=4180",
        b"postgres://%2Fvar%2Frun/db?options=-c%20geqo%3Doff",
        b"postgresql://u@[::1]:5432,b.example:1/db?options=endpoint%3Dx&sslnegotiation=direct",
        b"host=/tmp port = 5433 user='o\\'neil' dbname='a b' options='-c geqo=off' statement_cache_capacity=0",
    ],
};

/// Characters that no text of ours has, so that a part of the input in a message is found.
const MARK: &str = "\u{16a0}\u{16a1}";

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check(text);
    // The password's place may be anywhere that a character is.
    let at = data.first().map_or(0, |byte| usize::from(*byte) % (text.len() + 1));
    if text.is_char_boundary(at) {
        check(&format!("{}{MARK}{}", &text[..at], &text[at..]));
    }
}

fn check(text: &str) {
    match ConnectionString::parse(&SecretString::from(text)) {
        Ok(parsed) => {
            for (name, value) in parsed.session.pairs() {
                assert!(!name.is_empty() && !name.contains('\0') && !value.contains('\0'));
            }
        }
        // Files are named, and are not looked at here.
        Err(error) => {
            assert!(!matches!(error, ConnectionStringError::File { .. }));
            assert!(!error.to_string().contains(['\u{16a0}', '\u{16a1}']), "{error}");
        }
    }
}
