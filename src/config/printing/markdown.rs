//! `docs/settings.md`, made from the table so that it cannot lag behind.

use std::fmt::Write as _;

use crate::config::table::sections;
use crate::settings::{Kind, Setting, Support};

const INTRODUCTION: &str = "\
# Settings

This page is made from the table in `src/config/rows`; rewrite it by
`UPDATE_DOCS=1 cargo test --lib settings_page`.

Every setting has an environment variable and a flag of the same meaning. A flag wins over the environment, which
wins over the default. `AUTH_ENV_FILE` names a file of `NAME=value` lines: at start the environment of the process
wins over it; on SIGHUP it is read again and wins. What is marked (live) then changes at once; changes of other
settings are reported and wait for the next start. What is marked (tunable) can also be changed through the admin
listener, for one node until its process ends (`keywright actors set`, `PATCH /ops/settings`), or for all nodes until it
is taken back (`keywright actors set --all`, `PATCH /ops/cluster/settings`). Both win over everything else; a new value
for all nodes takes the place of what one node was given before.

Every setting of type *secret* can come from a file: `NAME_FILE` (say `AUTH_SMTP_PASS_FILE=/run/secrets/smtp`) names it, in
the environment or in the env file. A line feed at its end does not count; a file that cannot be read, is empty, or is longer
than 64 KiB stops the start, and so does a setting that is given in both ways. SIGHUP reads the files again.

| Type | Form | An empty variable means |
|---|---|---|
| string | anything, taken as it is | the empty string, not the default |
| boolean | `1 t T TRUE true True` or `0 f F FALSE false False` | false, even where the default is true |
| integer | `10`, `0x10`, `0o17`, `1_000` | the default |
| duration | numbers with units ns, us, ms, s, m, h: `300ms`, `60s`, `1h30m` | the default |
| list | split at commas, blanks are kept, empty elements are dropped; a flag may be repeated | the default |
| choice | one of the values, in exactly that spelling | the default |
| JSON | JSON text | not set |

Settings that are marked (Keywright) do not exist in the reference. What is marked *not yet* is a feature that
Keywright does not have yet; what is marked *not needed* has no effect. Both are reported at start when they are set.
So is every other variable that begins with `AUTH_`. Values that cannot be read stop the start, as do settings that
contradict each other; all of them are listed at once.
";

/// The documentation of every setting, grouped as in `--help`.
pub fn settings_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in sections() {
        let heading = section.heading;
        let _ = write!(
            page,
            "\n## {heading}\n\n| Environment | Flag | Type | Default | Meaning |\n|---|---|---|---|---|\n"
        );
        for setting in section.settings() {
            page.push_str(&row(setting));
        }
    }
    page
}

fn row(setting: &Setting) -> String {
    let variables: Vec<_> = setting.variables().map(|name| format!("`{name}`")).collect();
    let flag = setting.flag.map(|flag| format!("`--{flag}`")).unwrap_or_default();
    let kind = match setting.kind {
        Kind::Choice(allowed) => allowed.join(", "),
        _ if setting.secret => format!("{}, secret", setting.kind.name()),
        kind => kind.name().to_owned(),
    };
    let default = match (setting.kind, setting.default) {
        (_, "") => String::new(),
        // A table's cells may break at commas followed by blanks only.
        (Kind::List, default) => format!("`{}`", default.replace(',', "`, `")),
        (_, default) => format!("`{default}`"),
    };
    let mut meaning = setting.help.replace('|', "\\|");
    match setting.support {
        Support::Supported => {}
        Support::NotYet => meaning.push_str(" (*not yet*)"),
        Support::NotNeeded(reason) if reason == setting.help => {
            meaning.insert_str(0, "*not needed*: ");
        }
        Support::NotNeeded(reason) => {
            let _ = write!(meaning, " (*not needed*: {reason})");
        }
    }
    if setting.is_tunable() {
        meaning.push_str(" (live, tunable)");
    } else if setting.is_live() {
        meaning.push_str(" (live)");
    }
    if setting.own {
        meaning.push_str(" (Keywright)");
    }
    format!("| {} | {flag} | {kind} | {default} | {meaning} |\n", variables.join(", then "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_default_of_a_list_is_shown_as_several_values() {
        let text = Setting::text("url", "AUTH_URL", "https://a.test/me?fields=id,name", "Where");
        assert!(row(&text).contains("| `https://a.test/me?fields=id,name` |"), "{}", row(&text));
        let list = Setting::list("scope", "AUTH_SCOPE", "openid,email", "What");
        assert!(row(&list).contains("| `openid`, `email` |"), "{}", row(&list));
    }

    #[test]
    fn the_settings_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
        #[expect(clippy::disallowed_methods, reason = "a switch of this test, not a setting")]
        let update = std::env::var("UPDATE_DOCS").is_ok();
        if update {
            std::fs::write(path, settings_markdown()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == settings_markdown(),
            "docs/settings.md is old: UPDATE_DOCS=1 cargo test --lib settings_page"
        );
    }
}
