//! Notices about settings that are given and do nothing.

use super::notice::{Notice, NoticeLevel};
use super::reader::Reader;
use super::secret_files::is_file_of_no_secret;
use super::sources::Raw;
use crate::config::table;
use crate::settings::{Setting, Support};

/// Reports what is set but does nothing: features to come, names without a meaning, typing errors.
pub(in crate::config) fn report_ignored(reader: &mut Reader<'_>) {
    for setting in table::all() {
        match setting.support {
            Support::Supported => continue,
            Support::NotYet => {}
            Support::NotNeeded(reason) => {
                if is_set(reader, setting) {
                    reader.info(setting, format!("ignored: {reason}"));
                }
                continue;
            }
        }
        // A malformed value stops the start here as it does in the reference.
        if !reader.is_well_formed(setting) || !is_set(reader, setting) {
            continue;
        }
        reader.info(setting, "not supported yet, ignored");
    }
    for name in reader.sources().unknown_variables() {
        let text = if is_file_of_no_secret(&name) {
            "only secrets are read from files, ignored"
        } else {
            "no setting has this name, ignored; is it spelled correctly?"
        };
        reader.notices.push(Notice::new(NoticeLevel::Warning, &name, text));
    }
}

/// Whether it is set to something that is neither empty nor its default.
fn is_set(reader: &Reader<'_>, setting: &Setting) -> bool {
    let Some(Raw { values, .. }) = reader.sources().lookup(setting) else { return false };
    let text = values.join(",");
    !text.is_empty() && !setting.kind.same(&text, setting.default)
}
