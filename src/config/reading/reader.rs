//! Reads settings from the sources and collects what is wrong instead of stopping at it.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::error::{ConfigError, ConfigErrors};
use super::notice::{Notice, NoticeLevel};
use super::quotes;
use super::secret_files::file_variable;
use super::sources::{Origin, Raw, Sources};
use crate::settings::value::{
    Malformed, has_untrimmed_element, parse_bool, parse_choice, parse_duration, parse_http_url,
    parse_int, parse_list,
};
use crate::settings::{Kind, Setting};

/// One pass over the sources. After an error it goes on with some value of the type, since the
/// result is thrown away then.
pub(in crate::config) struct Reader<'a> {
    sources: &'a Sources,
    pub(in crate::config) errors: Vec<ConfigError>,
    pub(in crate::config) notices: Vec<Notice>,
    #[cfg(test)]
    pub(in crate::config) seen: std::collections::BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(in crate::config) fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            errors: Vec::new(),
            notices: Vec::new(),
            #[cfg(test)]
            seen: std::collections::BTreeSet::new(),
        }
    }

    /// The result, if nothing was wrong.
    pub(in crate::config) fn checked<T>(self, result: T) -> Result<T, ConfigErrors> {
        if self.errors.is_empty() { Ok(result) } else { Err(ConfigErrors(self.errors)) }
    }

    pub(in crate::config) fn sources(&self) -> &'a Sources {
        self.sources
    }

    pub(in crate::config) fn text(&mut self, setting: &'static Setting) -> String {
        let raw = self.look_up(setting);
        last(setting, raw.as_ref()).to_owned()
    }

    pub(in crate::config) fn secret(&mut self, setting: &'static Setting) -> SecretString {
        SecretString::from(self.text(setting))
    }

    /// `None` when empty.
    pub(in crate::config) fn optional_secret(
        &mut self,
        setting: &'static Setting,
    ) -> Option<SecretString> {
        let text = self.text(setting);
        (!text.is_empty()).then(|| SecretString::from(text))
    }

    pub(in crate::config) fn boolean(&mut self, setting: &'static Setting) -> bool {
        let raw = self.look_up(setting);
        match last(setting, raw.as_ref()) {
            // An empty variable is false; an empty flag is a mistake.
            "" if raw.as_ref().is_none_or(|raw| raw.origin != Origin::Flag) => false,
            text => self.accept(setting, raw.as_ref(), parse_bool(text)).unwrap_or_default(),
        }
    }

    /// A number in a range; `None` when it is not given and has no default.
    pub(in crate::config) fn optional_number<T>(
        &mut self,
        setting: &'static Setting,
        range: RangeInclusive<T>,
    ) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let raw = self.look_up(setting);
        let text = last(setting, raw.as_ref());
        if text.is_empty() && raw.is_none() {
            return None;
        }
        let number = parse_int(text).and_then(|number| {
            T::try_from(number).ok().filter(|number| range.contains(number)).ok_or_else(|| {
                let (low, high) = (range.start(), range.end());
                Malformed(format!("it must be between {low} and {high}"))
            })
        });
        self.accept(setting, raw.as_ref(), number)
    }

    /// A number in a range.
    pub(in crate::config) fn number<T>(
        &mut self,
        setting: &'static Setting,
        range: RangeInclusive<T>,
    ) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        let fallback = *range.start();
        self.optional_number(setting, range).unwrap_or(fallback)
    }

    /// A number of seconds in a range.
    pub(in crate::config) fn seconds(
        &mut self,
        setting: &'static Setting,
        range: RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_secs(self.number(setting, range))
    }

    /// A duration; zero only if `zero` says that it means something.
    pub(in crate::config) fn duration(
        &mut self,
        setting: &'static Setting,
        zero: bool,
    ) -> Duration {
        let raw = self.look_up(setting);
        let duration = parse_duration(last(setting, raw.as_ref())).and_then(|duration| {
            if duration.is_zero() && !zero {
                Err(Malformed("it must not be zero".to_owned()))
            } else {
                Ok(duration)
            }
        });
        self.accept(setting, raw.as_ref(), duration).unwrap_or_default()
    }

    pub(in crate::config) fn list(&mut self, setting: &'static Setting) -> Vec<String> {
        match self.look_up(setting) {
            Some(raw) => raw.values.iter().flat_map(|value| parse_list(value)).collect(),
            None => parse_list(setting.default),
        }
    }

    /// One of the names that the setting allows; `None` when it is not given and has no default.
    pub(in crate::config) fn choice(&mut self, setting: &'static Setting) -> Option<&'static str> {
        let raw = self.look_up(setting);
        let Kind::Choice(allowed) = setting.kind else { return None };
        let text = last(setting, raw.as_ref());
        if text.is_empty() && raw.is_none() {
            return None;
        }
        self.accept(setting, raw.as_ref(), parse_choice(text, allowed))
    }

    /// JSON text as given, empty when not; only its syntax is checked.
    pub(in crate::config) fn json(&mut self, setting: &'static Setting) -> String {
        let raw = self.look_up(setting);
        let text = last(setting, raw.as_ref());
        if text.is_empty() {
            return String::new();
        }
        let checked = setting.kind.check(text).map(|()| text.to_owned());
        self.accept(setting, raw.as_ref(), checked).unwrap_or_default()
    }

    /// An http or https address; `None` when empty.
    pub(in crate::config) fn http_url(&mut self, setting: &'static Setting) -> Option<Url> {
        let raw = self.look_up(setting);
        let text = last(setting, raw.as_ref());
        if text.is_empty() {
            return None;
        }
        let url = parse_http_url(text);
        self.accept(setting, raw.as_ref(), url)
    }

    /// An address with http or https that must not be empty.
    pub(in crate::config) fn required_url(&mut self, setting: &'static Setting) -> Url {
        let before = self.errors.len();
        self.http_url(setting).unwrap_or_else(|| {
            if self.errors.len() == before {
                self.refuse(setting, "it must not be empty");
            }
            Url::parse("http://localhost").expect("a constant that is an address")
        })
    }

    /// Whether what was given has the syntax of the setting's type; if not, that is an error.
    pub(in crate::config) fn is_well_formed(&mut self, setting: &'static Setting) -> bool {
        self.note_files(setting);
        let Some(raw) = self.sources.lookup(setting) else { return true };
        let text = *raw.values.last().unwrap_or(&"");
        if text.is_empty() && raw.origin != Origin::Flag {
            return true;
        }
        self.accept(setting, Some(&raw), setting.kind.check(text)).is_some()
    }

    /// An error about a value that has the right syntax.
    pub(in crate::config) fn refuse(&mut self, setting: &Setting, reason: impl Display) {
        self.errors.push(ConfigError::about(setting.variable, reason));
    }

    pub(in crate::config) fn info(&mut self, setting: &Setting, text: impl Into<String>) {
        self.notices.push(Notice::new(NoticeLevel::Info, setting.variable, text));
    }

    pub(in crate::config) fn warn(&mut self, setting: &Setting, text: impl Into<String>) {
        self.notices.push(Notice::new(NoticeLevel::Warning, setting.variable, text));
    }

    fn look_up(&mut self, setting: &'static Setting) -> Option<Raw<'a>> {
        #[cfg(test)]
        self.seen.insert(setting.variable);
        self.note_files(setting);
        if self.sources.is_quoted(setting) {
            self.note_quotes(setting);
        }
        let raw = self.sources.lookup(setting);
        if let Some(link) = self.sources.service_link(setting) {
            let text = format!(
                "{link} is the address of a service, as an orchestrator sets it, and not taken for a port; \
                 enableServiceLinks: false keeps Kubernetes from that"
            );
            self.notice_once(NoticeLevel::Warning, setting, text);
        }
        let is_list = setting.kind == Kind::List;
        let is_trimmed = |raw: &Raw<'_>| {
            raw.was_trimmed
                || is_list && raw.values.iter().any(|value| has_untrimmed_element(value))
        };
        if raw.as_ref().is_some_and(is_trimmed) {
            let what = if is_list { "elements" } else { "the value" };
            let text = format!("blanks or line feeds at the ends of {what} were taken off");
            self.notice_once(NoticeLevel::Info, setting, text);
        }
        raw
    }

    /// A setting may be asked for several times.
    fn notice_once(&mut self, level: NoticeLevel, setting: &Setting, text: String) {
        let notice = Notice::new(level, setting.variable, text);
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// A setting may be asked for several times.
    fn note_files(&mut self, setting: &Setting) {
        for error in self.sources.file_errors(setting) {
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
    }

    /// Quotes that are taken off are mentioned; those that may be a part of a secret are refused.
    fn note_quotes(&mut self, setting: &Setting) {
        if quotes::may_be_meant(setting) {
            self.refuse(setting, "there are quotes around the value: take them off");
        } else {
            self.warn(setting, "there were quotes around the value, which do not count");
        }
    }

    fn accept<T>(
        &mut self,
        setting: &Setting,
        raw: Option<&Raw<'_>>,
        value: Result<T, Malformed>,
    ) -> Option<T> {
        value.map_err(|reason| self.errors.push(describe(setting, raw, &reason))).ok()
    }
}

fn last<'a>(setting: &Setting, raw: Option<&Raw<'a>>) -> &'a str {
    raw.and_then(|raw| raw.values.last().copied()).unwrap_or(setting.default)
}

/// Names value, type, variable and flag, as the reference does; of secrets all but the value.
fn describe(setting: &Setting, raw: Option<&Raw<'_>>, reason: &Malformed) -> ConfigError {
    let value = match last(setting, raw) {
        _ if setting.secret => "the value".to_owned(),
        text => format!("\"{}\"", text.escape_debug()),
    };
    let variable = match raw.map(|raw| raw.origin) {
        Some(Origin::Variable(name)) => name.to_owned(),
        Some(Origin::SecretFile(name)) => file_variable(name),
        _ => setting.variable.to_owned(),
    };
    let flag = setting.flag.unwrap_or("(none)");
    let place = match raw.map(|raw| raw.origin) {
        Some(Origin::Flag) => format!("for flag {flag} (environment variable \"{variable}\")"),
        Some(Origin::Override | Origin::Cluster) => format!("for {variable}"),
        Some(Origin::SecretFile(_)) => {
            format!("from the file of environment variable \"{variable}\"")
        }
        _ => format!("from environment variable \"{variable}\" for flag {flag}"),
    };
    let message =
        format!("could not parse {value} as {} value {place}: {reason}", setting.kind.name());
    ConfigError { variable, message }
}
