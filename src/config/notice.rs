//! What an operator should know about a configuration that works.

use std::fmt;

use super::reader::Reader;
use super::settings::{self, Setting, Support};
use super::sources::Raw;

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeLevel {
    Info,
    /// Something is less secure, or will not work, though the configuration seems to ask for it.
    Warning,
}

/// One line for the log at start-up and after a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub level: NoticeLevel,
    /// The environment variable that it is about.
    pub variable: String,
    pub text: String,
}

impl Notice {
    /// Writes it to the log at its level.
    pub fn log(&self) {
        let (setting, notice) = (self.variable.as_str(), self.text.as_str());
        match self.level {
            NoticeLevel::Info => tracing::info!(setting, notice, "configuration notice"),
            NoticeLevel::Warning => tracing::warn!(setting, notice, "configuration notice"),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.text)
    }
}

/// Reports what is set but does nothing: features to come, names without a meaning, typing errors.
pub(super) fn report_ignored(reader: &mut Reader<'_>) {
    for setting in settings::all() {
        match setting.support {
            Support::Supported => continue,
            Support::NotYet => {}
            Support::NotNeeded(reason) => {
                if is_set(reader, setting) {
                    reader.info(setting.variable, format!("ignored: {reason}"));
                }
                continue;
            }
        }
        // A malformed value stops the start here as it does in the reference.
        if !reader.is_well_formed(setting) || !is_set(reader, setting) {
            continue;
        }
        reader.info(setting.variable, "not supported yet, ignored");
    }
    for name in reader.sources().unknown_variables() {
        reader.warn(&name, "no setting has this name, ignored; is it spelled correctly?");
    }
}

/// Whether it is set to something that is neither empty nor its default.
fn is_set(reader: &Reader<'_>, setting: &Setting) -> bool {
    let Some(Raw { values, .. }) = reader.sources().lookup(setting) else { return false };
    let text = values.join(",");
    !text.is_empty() && !setting.kind.same(&text, setting.default)
}
