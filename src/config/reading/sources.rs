//! Where values come from: flags, the process environment, an env file, and fallbacks of a command.
//!
//! A flag wins over the environment, which wins over the default. Of the environment, the process
//! wins over the env file at start; after a reload the file wins, because it is what has changed.
//! What an operator sets for all nodes wins over all of them, until it is taken back; and what is set
//! in the running server wins over that, until it is taken back, the process ends, or the operator sets
//! it for all nodes anew.
//! A secret may come from a file instead, see `secret_files.rs`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use serde::{Deserialize, Serialize};

use super::env_file;
use super::error::ConfigError;
use super::notice::{Notice, NoticeLevel};
use super::quotes;
use super::secret_files::{self, SecretFile};
use super::service_links::{is_link_name, is_service_link};
use crate::config::rows::server::ENV_FILE;
use crate::config::table;
use crate::settings::value::trimmed;
use crate::settings::{Setting, Support};

/// Everything that was given, as text.
#[derive(Clone, Default)]
pub struct Sources {
    /// By flag name, in the order given.
    flags: HashMap<String, Vec<String>>,
    process: HashMap<String, String>,
    file: HashMap<String, String>,
    file_wins: bool,
    /// By variable; used where nothing else is given.
    fallbacks: HashMap<&'static str, String>,
    /// By variable; set while the server runs.
    overrides: HashMap<&'static str, String>,
    /// By the variable that the file stands for.
    secret_files: HashMap<&'static str, SecretFile>,
    /// By variable; set for all nodes.
    cluster: BTreeMap<&'static str, String>,
}

/// Where the value in force comes from, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// Also what a command takes for one.
    Default,
    Flag,
    Environment,
    /// The env file.
    File,
    /// A file that an environment variable names, for a secret.
    SecretFile,
    /// Set in the running server.
    Node,
    /// Set for all nodes.
    Cluster,
}

impl Provenance {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::SecretFile => "secret-file",
            Self::Node => "node",
            Self::Cluster => "cluster",
        }
    }
}

/// Where a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Origin {
    Flag,
    Variable(&'static str),
    /// In the file that stands for this variable.
    SecretFile(&'static str),
    Fallback,
    /// Set while the server runs.
    Override,
    /// Set for all nodes.
    Cluster,
}

/// The texts given for one setting; more than one only for a repeated flag.
pub(in crate::config) struct Raw<'a> {
    pub(in crate::config) values: Vec<&'a str>,
    pub(in crate::config) origin: Origin,
    /// Something that nobody means was at the end of a value.
    pub(in crate::config) was_trimmed: bool,
}

impl<'a> Raw<'a> {
    /// The one place where values lose what nobody means at their ends.
    fn new(given: impl IntoIterator<Item = &'a str>, origin: Origin) -> Self {
        let mut was_trimmed = false;
        let values = given.into_iter().map(|text| {
            let kept = trimmed(text);
            was_trimmed |= kept.len() < text.len();
            kept
        });
        Self { values: values.collect(), origin, was_trimmed }
    }
}

impl Sources {
    /// The flags of a command, the environment of the process and the env file that they name.
    ///
    /// This is the only place that reads the environment.
    pub fn from_process(matches: &ArgMatches) -> Result<Self, ConfigError> {
        let mut flags = HashMap::new();
        for flag in table::all().filter_map(|setting| setting.flag) {
            // A command need not offer every setting; one that it does not know is not given.
            if let Ok(Some(values)) = matches.try_get_many::<String>(flag) {
                flags.insert(flag.to_owned(), values.cloned().collect());
            }
        }
        let mut process = HashMap::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            let is_known = table::find(&name).is_some() || secret_files::find(&name).is_some();
            if !name.starts_with("AUTH_") && !is_known {
                continue;
            }
            let value = value
                .into_string()
                .map_err(|_bytes| ConfigError::about(&name, "the value is not valid UTF-8"))?;
            process.insert(name, value);
        }
        Self { flags, process, ..Self::default() }.with_env_file()
    }

    /// A process environment made by hand; for tests and for commands that need no other.
    pub fn from_env<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let process = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { process: process.collect(), ..Self::default() }.with_secret_files()
    }

    /// Adds one occurrence of a flag.
    #[must_use]
    pub fn with_flag(mut self, flag: &str, value: impl Into<String>) -> Self {
        self.flags.entry(flag.to_owned()).or_default().push(value.into());
        self
    }

    /// Gives a setting another default; a command's own idea of what fits when nothing is said.
    #[must_use]
    pub fn with_fallback(mut self, setting: &Setting, value: impl Into<String>) -> Self {
        self.fallbacks.insert(setting.variable, value.into());
        self
    }

    /// Sets a setting above everything else; `None` takes that back.
    #[must_use]
    pub fn with_override(mut self, setting: &Setting, value: Option<String>) -> Self {
        match value {
            Some(value) => self.overrides.insert(setting.variable, value),
            None => self.overrides.remove(setting.variable),
        };
        self
    }

    /// What holds for all nodes from now on. What has been set here gives way to what is new in it.
    #[must_use]
    pub fn with_cluster(mut self, values: BTreeMap<&'static str, String>) -> Self {
        for (variable, value) in &values {
            if self.cluster.get(variable) != Some(value) {
                self.overrides.remove(variable);
            }
        }
        self.cluster = values;
        self
    }

    /// What holds for all nodes, by variable.
    pub fn cluster(&self) -> &BTreeMap<&'static str, String> {
        &self.cluster
    }

    /// What was set while the server runs.
    pub fn overridden(&self, setting: &Setting) -> Option<&str> {
        self.overrides.get(setting.variable).map(String::as_str)
    }

    /// Where the value in force comes from.
    pub fn provenance(&self, setting: &Setting) -> Provenance {
        match self.lookup(setting).map(|raw| raw.origin) {
            None | Some(Origin::Fallback) => Provenance::Default,
            Some(Origin::Flag) => Provenance::Flag,
            Some(Origin::Override) => Provenance::Node,
            Some(Origin::Cluster) => Provenance::Cluster,
            Some(Origin::SecretFile(_)) => Provenance::SecretFile,
            Some(Origin::Variable(name)) => {
                let is_in_file = self.file.contains_key(name);
                let is_hidden = !self.file_wins && self.process.contains_key(name);
                if is_in_file && !is_hidden { Provenance::File } else { Provenance::Environment }
            }
        }
    }

    /// Whether a setting was set while the server runs.
    pub fn is_overridden(&self, setting: &Setting) -> bool {
        self.overrides.contains_key(setting.variable)
    }

    /// Reads the file that `AUTH_ENV_FILE` names, if any; the process environment wins over it.
    pub fn with_env_file(mut self) -> Result<Self, ConfigError> {
        if let Some(path) = self.env_file() {
            self.file = read_env_file(&path)?;
        }
        Ok(self.with_secret_files())
    }

    /// Reads another env file instead.
    pub fn with_env_file_at(mut self, path: &Path) -> Result<Self, ConfigError> {
        self.file = read_env_file(path)?;
        Ok(self.with_secret_files())
    }

    /// The same sources with the env file read again, which now wins over the process environment,
    /// and with the files of secrets.
    pub fn reload_env_file(&self) -> Result<Self, ConfigError> {
        Self { file_wins: true, ..self.clone() }.with_env_file()
    }

    /// Reads the files of secrets; what is wrong with one is for whoever asks for its setting.
    fn with_secret_files(mut self) -> Self {
        self.secret_files = secret_files::read_all(|name| self.variable(name));
        self
    }

    /// The settings whose value comes from a file, with its path.
    pub fn from_files(&self) -> impl Iterator<Item = (&'static Setting, &Path)> {
        table::all().filter_map(|setting| {
            let Origin::SecretFile(variable) = self.lookup(setting)?.origin else { return None };
            Some((setting, self.secret_files.get(variable)?.path.as_path()))
        })
    }

    /// What is wrong with the files of a setting.
    pub(in crate::config) fn file_errors(&self, setting: &Setting) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let flag = setting.flag.filter(|flag| self.flags.contains_key(*flag));
        for variable in setting.variables() {
            let Some(file) = self.secret_files.get(variable) else { continue };
            if let Err(reason) = &file.text {
                errors.push(secret_files::unreadable(variable, &file.path, reason));
            }
            if let Some(flag) = flag {
                errors.push(secret_files::given_twice(variable, &format!("--{flag}")));
            }
            if self.variable(variable).is_some_and(|value| !trimmed(value).is_empty()) {
                errors.push(secret_files::given_twice(variable, variable));
            }
        }
        errors
    }

    /// The env file in use. A file cannot name another one.
    pub fn env_file(&self) -> Option<PathBuf> {
        let flag = ENV_FILE.flag.and_then(|flag| self.flags.get(flag)?.last());
        let path = flag.or_else(|| self.process.get(ENV_FILE.variable))?;
        (!path.is_empty()).then(|| PathBuf::from(path))
    }

    /// Whether a flag or the environment says something about this setting; fallbacks do not count,
    /// nor does an empty value.
    pub fn is_set(&self, setting: &Setting) -> bool {
        self.lookup(setting).is_some_and(|raw| {
            raw.origin != Origin::Fallback && raw.values.iter().any(|value| !value.is_empty())
        })
    }

    /// What was given for a setting, by precedence.
    pub(in crate::config) fn lookup(&self, setting: &Setting) -> Option<Raw<'_>> {
        if let Some(value) = self.overrides.get(setting.variable) {
            return Some(Raw::new([value.as_str()], Origin::Override));
        }
        if let Some(value) = self.cluster.get(setting.variable) {
            return Some(Raw::new([value.as_str()], Origin::Cluster));
        }
        if let Some(values) = setting.flag.and_then(|flag| self.flags.get(flag)) {
            return Some(Raw::new(values.iter().map(String::as_str), Origin::Flag));
        }
        for variable in setting.variables() {
            if let Some(file) = self.secret_files.get(variable) {
                let text = file.text.as_deref().unwrap_or_default();
                return Some(Raw::new([unquoted(setting, text)], Origin::SecretFile(variable)));
            }
            match self.variable(variable) {
                None => {}
                Some(value) if is_service_link(variable, value) => {}
                Some(value)
                    if trimmed(value).is_empty() && setting.kind.ignores_empty_variable() => {}
                Some(value) => {
                    return Some(Raw::new([unquoted(setting, value)], Origin::Variable(variable)));
                }
            }
        }
        let value = self.fallbacks.get(setting.variable)?;
        Some(Raw::new([value.as_str()], Origin::Fallback))
    }

    /// The variable of this setting that an orchestrator has set to something else.
    pub(in crate::config) fn service_link(&self, setting: &Setting) -> Option<&'static str> {
        setting.variables().find(|variable| {
            self.variable(variable).is_some_and(|value| is_service_link(variable, value))
        })
    }

    /// One notice for each setting that differs from `before` and takes effect only at the next
    /// start.
    ///
    /// For a reload: nothing that an operator has written into the env file is silently ignored.
    pub fn restart_notices(&self, before: &Self) -> Vec<Notice> {
        table::all()
            .filter(|setting| setting.support == Support::Supported && !setting.is_live())
            .filter(|setting| self.effective(setting) != before.effective(setting))
            .map(|setting| {
                let text = "has changed, which takes effect at the next start";
                Notice::new(NoticeLevel::Warning, setting.variable, text)
            })
            .collect()
    }

    /// The text in force, in the syntax of the setting.
    pub fn effective(&self, setting: &Setting) -> String {
        self.lookup(setting).map_or_else(|| setting.default.to_owned(), |raw| raw.values.join(","))
    }

    /// Whether quotes stand around the value of the variable that counts.
    pub(in crate::config) fn is_quoted(&self, setting: &Setting) -> bool {
        match self.lookup(setting).map(|raw| raw.origin) {
            Some(Origin::Variable(name)) => {
                self.variable(name).is_some_and(|value| quotes::between(value).is_some())
            }
            Some(Origin::SecretFile(name)) => {
                let text = self.secret_files.get(name).and_then(|file| file.text.as_deref().ok());
                text.is_some_and(|text| quotes::between(text).is_some())
            }
            _ => false,
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let (first, second) =
            if self.file_wins { (&self.file, &self.process) } else { (&self.process, &self.file) };
        first.get(name).or_else(|| second.get(name)).map(String::as_str)
    }

    /// Variables that look like settings, have a value, and are in no table.
    pub(in crate::config) fn unknown_variables(&self) -> BTreeSet<String> {
        self.process
            .iter()
            .chain(&self.file)
            .filter(|(name, value)| !value.is_empty() && name.starts_with("AUTH_"))
            .filter(|(name, _)| table::find(name).is_none() && secret_files::find(name).is_none())
            .filter(|(name, _)| !is_link_name(name))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// Names only: the values hold every secret of the server.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("flags", &self.flags.keys())
            .field("process", &self.process.keys())
            .field("file", &self.file.keys())
            .field("fallbacks", &self.fallbacks.keys())
            .field("overrides", &self.overrides.keys())
            .field("secret_files", &self.secret_files.keys())
            .field("cluster", &self.cluster.keys())
            .finish_non_exhaustive()
    }
}

/// Without quotes around it, unless they may be meant.
fn unquoted<'a>(setting: &Setting, text: &'a str) -> &'a str {
    let is_kept = quotes::may_be_meant(setting);
    quotes::between(text).filter(|_| !is_kept).unwrap_or(text)
}

fn read_env_file(path: &Path) -> Result<HashMap<String, String>, ConfigError> {
    let refuse = |reason: String| {
        ConfigError::about(ENV_FILE.variable, format!("cannot read {}: {reason}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    env_file::parse(&text).map_err(|(line, reason)| refuse(format!("line {line}: {reason}")))
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
