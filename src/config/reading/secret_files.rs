//! Secrets in files: `NAME_FILE` names a file that holds the value of the secret setting `NAME`.
//!
//! Orchestrators mount secrets as files. A file is read when the sources are put together, at start
//! and at a reload, so that a value in force stays what was checked.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use crate::config::table;
use crate::settings::Setting;

/// Ends the name of a variable that names a file.
const SUFFIX: &str = "_FILE";
/// No secret is longer; more is another file.
const LONGEST: u64 = 64 * 1024;

/// The variable that names the file of this one.
pub(crate) fn file_variable(variable: &str) -> String {
    format!("{variable}{SUFFIX}")
}

/// The setting whose file this variable names, and which of the setting's variables it stands for.
pub(super) fn find(name: &str) -> Option<(&'static Setting, &'static str)> {
    let variable = name.strip_suffix(SUFFIX)?;
    let setting = table::find(variable).filter(|setting| setting.secret)?;
    let variable = setting.variables().find(|own| *own == variable)?;
    Some((setting, variable))
}

/// The setting that this name would be the file of, were it a secret.
pub(super) fn is_file_of_no_secret(name: &str) -> bool {
    let setting = name.strip_suffix(SUFFIX).and_then(table::find);
    setting.is_some_and(|setting| !setting.secret)
}

/// A file that was named, and what is in it or why it cannot be read.
#[derive(Clone)]
pub(super) struct SecretFile {
    pub(super) path: PathBuf,
    pub(super) text: Result<String, String>,
}

impl SecretFile {
    fn read(path: &str) -> Self {
        Self { path: PathBuf::from(path), text: read(Path::new(path)) }
    }
}

/// Reads every file that `variable` names, by the variable that it stands for.
pub(super) fn read_all<'a>(
    variable: impl Fn(&str) -> Option<&'a str>,
) -> HashMap<&'static str, SecretFile> {
    let secrets = table::all().filter(|setting| setting.secret);
    let names = secrets.flat_map(Setting::variables);
    names
        .filter_map(|name| {
            let path = variable(&file_variable(name)).filter(|path| !path.is_empty())?;
            Some((name, SecretFile::read(path)))
        })
        .collect()
}

/// The whole text without the line feed at its end; the reason never repeats any of it.
fn read(path: &Path) -> Result<String, String> {
    // Opening a pipe would wait for its writer.
    let found = fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let mut text = String::from_utf8(bytes).map_err(|_bytes| "it is not valid UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text) }
}

/// That a file cannot be read.
pub(super) fn unreadable(variable: &str, path: &Path, reason: &str) -> ConfigError {
    ConfigError::about(
        &file_variable(variable),
        format!("cannot read {}: {reason}", path.display()),
    )
}

/// That a value was given in two ways.
pub(super) fn given_twice(variable: &str, other: &str) -> ConfigError {
    let file = file_variable(variable);
    ConfigError::about(&file, format!("{other} is set too: only one of them can be"))
}

#[cfg(test)]
#[path = "secret_files_tests.rs"]
mod tests;
