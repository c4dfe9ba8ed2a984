//! What holds for every text that is taken for an env file.

use super::env_file;
use super::quotes;

/// Panics if a text panics the parser, or if what it reads is not what stands there.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = text.lines().count();
    match env_file::parse(text) {
        Ok(variables) => {
            assert!(variables.len() <= lines);
            for (name, value) in &variables {
                assert!(!name.is_empty() && !name.contains(char::is_whitespace), "{name:?}");
                assert!(!value.contains(['\n']), "{value:?}");
                // Written in single quotes, it is read again as it was.
                if !value.contains(['\'', '\r', '\u{feff}']) {
                    let again =
                        env_file::parse(&format!("{name}='{value}'")).expect("it is quoted");
                    assert_eq!(again.get(name), Some(value));
                }
                let _ = quotes::between(value);
            }
        }
        Err((line, reason)) => {
            assert!((1..=lines).contains(&line), "line {line} of {lines}: {reason}");
        }
    }
}
