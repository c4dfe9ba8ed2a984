//! Every secret can come from a file; nothing that is wrong with one shows what is in it.

use std::fs;

use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::*;
use crate::config::reading::{NoticeLevel, Reader, Sources, report_ignored};
use crate::settings::Kind;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("keywright-secrets-{}", Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn secrets() -> impl Iterator<Item = (&'static Setting, &'static str)> {
    let secrets = table::all().filter(|setting| setting.secret);
    secrets.flat_map(|setting| setting.variables().map(move |name| (setting, name)))
}

/// What the setting is read as, and what is wrong.
fn read(sources: &Sources, setting: &'static Setting) -> (String, Vec<String>) {
    let mut reader = Reader::new(sources);
    let text = match setting.kind {
        Kind::Json => reader.json(setting),
        _ => reader.secret(setting).expose_secret().to_owned(),
    };
    (text, reader.errors.iter().map(ToString::to_string).collect())
}

#[test]
fn every_secret_setting_takes_its_value_from_a_file() {
    let folder = Folder::new();
    let mut count = 0;
    for (setting, variable) in secrets() {
        let (value, name) = ("[\"sesame\"]", file_variable(variable));
        assert_eq!(table::find(&name), None, "{name} is a setting of its own");
        for end in ["", "\n", "\r\n"] {
            let path = folder.file("secret", format!("{value}{end}"));
            let sources = Sources::from_env([(name.as_str(), path.as_str())]);
            assert_eq!(read(&sources, setting), (value.to_owned(), Vec::new()), "{name}");
            let from: Vec<_> =
                sources.from_files().map(|(found, path)| (found.variable, path)).collect();
            assert_eq!(from, [(setting.variable, Path::new(&path))]);
            let mut reader = Reader::new(&sources);
            read_notices(&mut reader, setting);
            assert_eq!(reader.notices, [], "{name}: one line feed is what editors write");
        }
        count += 1;
    }
    assert!(count > 30, "{count}");
}

fn read_notices(reader: &mut Reader<'_>, setting: &'static Setting) {
    match setting.kind {
        Kind::Json => drop(reader.json(setting)),
        _ => drop(reader.text(setting)),
    }
}

#[test]
fn a_secret_that_is_given_twice_is_refused_by_both_names() {
    let folder = Folder::new();
    let path = folder.file("secret", r#"["sesame"]"#);
    for (setting, variable) in secrets() {
        let name = file_variable(variable);
        let both = [(name.as_str(), path.as_str()), (variable, "[\"open sesame\"]")];
        let (_, errors) = read(&Sources::from_env(both), setting);
        let [error] = errors.as_slice() else { panic!("{name}: {errors:?}") };
        assert!(error.contains(&name) && error.contains(&format!("{variable} ")), "{error}");
        assert!(!error.contains("sesame"), "{error}");
        // Compose files pass on what is not set as an empty variable.
        let empty = [(name.as_str(), path.as_str()), (variable, " ")];
        let (_, errors) = read(&Sources::from_env(empty), setting);
        assert!(errors.iter().all(|error| !error.contains("too")), "{errors:?}");

        let Some(flag) = setting.flag else { continue };
        let sources = Sources::from_env([(name.as_str(), path.as_str())]);
        let (_, errors) = read(&sources.with_flag(flag, "[\"open sesame\"]"), setting);
        assert!(errors.iter().any(|error| error.contains(&name) && error.contains(flag)), "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_its_setting_and_never_quoted() {
    let folder = Folder::new();
    let long = "sesame".repeat(12_000);
    let missing = folder.0.join("missing").to_str().unwrap().to_owned();
    let directory = folder.0.to_str().unwrap().to_owned();
    let files = [
        (missing, "No such file"),
        (directory, "not a regular file"),
        (folder.file("empty", ""), "empty"),
        (folder.file("line", "\n"), "empty"),
        (folder.file("long", &long), "longer than 65536 bytes"),
        (folder.file("bytes", b"sesame\xff"), "not valid UTF-8"),
    ];
    for (setting, variable) in secrets() {
        let name = file_variable(variable);
        for (path, reason) in &files {
            let (_, errors) = read(&Sources::from_env([(name.as_str(), path.as_str())]), setting);
            let error = errors.first().unwrap();
            for part in [&name, path, *reason] {
                assert!(error.contains(part), "{part} is missing in {error}");
            }
            assert!(!error.contains("sesame"), "{error}");
        }
    }
}

#[test]
fn a_reload_reads_files_again_and_other_changes_do_not() {
    let folder = Folder::new();
    let path = folder.file("secret", "one\n");
    let setting = table::find("AUTH_SMTP_PASS").unwrap();
    let sources = Sources::from_env([("AUTH_SMTP_PASS_FILE", path.as_str())]);
    folder.file("secret", "two\n");
    let limit = table::find("AUTH_PASSWORD_HASH_QUEUE").unwrap();
    let tuned = sources.clone().with_override(limit, Some("5".to_owned()));
    assert_eq!(read(&tuned, setting).0, "one", "what was checked stays in force");
    assert_eq!(read(&sources.reload_env_file().unwrap(), setting).0, "two");
}

#[test]
fn files_of_secrets_are_known_names_and_those_of_other_settings_are_not() {
    let folder = Folder::new();
    let path = folder.file("secret", "https://app.example.com");
    let sources = Sources::from_env([
        ("AUTH_SMTP_PASS_FILE", path.as_str()),
        ("AUTH_CLIENT_URL_FILE", path.as_str()),
    ]);
    let mut reader = Reader::new(&sources);
    report_ignored(&mut reader);
    let [notice] = reader.notices.as_slice() else { panic!("{:?}", reader.notices) };
    assert_eq!(
        (notice.level, notice.variable.as_str()),
        (NoticeLevel::Warning, "AUTH_CLIENT_URL_FILE")
    );
    assert!(notice.text.contains("only secrets"), "{notice}");
}
