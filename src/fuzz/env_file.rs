//! Env files: whatever stands there, nothing panics, and values are read as they stand.

use super::Target;
use crate::config::env_file;

pub(super) const TARGET: Target = Target {
    name: "env_file",
    run,
    seeds: &[
        b"A=1\nB_1='two words'\n# a remark\nexport C=\"x\\ny\"\n",
        b"\xef\xbb\xbfA=\"quoted\"\r\nB=\r\n",
        b"A=`x` $B ${C}\n=\n9=1\nA B=1\n'=\"\n",
    ],
};

fn run(data: &[u8]) {
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
            }
        }
        Err((line, reason)) => {
            assert!((1..=lines).contains(&line), "line {line} of {lines}: {reason}");
        }
    }
}
