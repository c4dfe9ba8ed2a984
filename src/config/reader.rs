//! Reads settings of the table from the sources and collects what is wrong instead of stopping at it.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::error::{ConfigError, ConfigErrors};
use super::notice::{Notice, NoticeLevel};
use super::settings::{self, Setting};
use super::sources::{Origin, Raw, Sources};
use super::value::{
    Malformed, parse_bool, parse_choice, parse_duration, parse_http_url, parse_int, parse_list,
};

/// One pass over the sources. After an error a reading goes on with some value of the type, since the
/// result is thrown away then.
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    pub(super) errors: Vec<ConfigError>,
    pub(super) notices: Vec<Notice>,
    #[cfg(test)]
    pub(super) seen: std::collections::BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            errors: Vec::new(),
            notices: Vec::new(),
            #[cfg(test)]
            seen: std::collections::BTreeSet::new(),
        }
    }

    /// The result, if nothing was wrong.
    pub(super) fn checked<T>(self, result: T) -> Result<T, ConfigErrors> {
        if self.errors.is_empty() { Ok(result) } else { Err(ConfigErrors(self.errors)) }
    }

    pub(super) fn sources(&self) -> &'a Sources {
        self.sources
    }

    pub(super) fn text(&mut self, variable: &str) -> String {
        let (setting, raw) = self.find(variable);
        last(setting, raw.as_ref()).to_owned()
    }

    pub(super) fn secret(&mut self, variable: &str) -> SecretString {
        SecretString::from(self.text(variable))
    }

    /// `None` when empty.
    pub(super) fn optional_secret(&mut self, variable: &str) -> Option<SecretString> {
        let text = self.text(variable);
        (!text.is_empty()).then(|| SecretString::from(text))
    }

    pub(super) fn boolean(&mut self, variable: &str) -> bool {
        let (setting, raw) = self.find(variable);
        match last(setting, raw.as_ref()) {
            // An empty variable is false; an empty flag is a mistake.
            "" if raw.as_ref().is_none_or(|raw| raw.origin != Origin::Flag) => false,
            text => self.accept(setting, raw.as_ref(), parse_bool(text)).unwrap_or_default(),
        }
    }

    /// A number in a range; `None` when neither given nor in the table.
    pub(super) fn optional_number<T>(
        &mut self,
        variable: &str,
        range: RangeInclusive<T>,
    ) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let (setting, raw) = self.find(variable);
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
    pub(super) fn number<T>(&mut self, variable: &str, range: RangeInclusive<T>) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        let fallback = *range.start();
        self.optional_number(variable, range).unwrap_or(fallback)
    }

    /// A number of seconds in a range.
    pub(super) fn seconds(&mut self, variable: &str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.number(variable, range))
    }

    /// A duration; zero only if `zero` says that it means something.
    pub(super) fn duration(&mut self, variable: &str, zero: bool) -> Duration {
        let (setting, raw) = self.find(variable);
        let duration = parse_duration(last(setting, raw.as_ref())).and_then(|duration| {
            if duration.is_zero() && !zero {
                Err(Malformed("it must not be zero".to_owned()))
            } else {
                Ok(duration)
            }
        });
        self.accept(setting, raw.as_ref(), duration).unwrap_or_default()
    }

    pub(super) fn list(&mut self, variable: &str) -> Vec<String> {
        let (setting, raw) = self.find(variable);
        match raw {
            Some(raw) => raw.values.iter().flat_map(|value| parse_list(value)).collect(),
            None => parse_list(setting.default),
        }
    }

    /// One of the table's names; `None` when neither given nor in the table.
    pub(super) fn choice(&mut self, variable: &str) -> Option<&'static str> {
        let (setting, raw) = self.find(variable);
        let settings::Kind::Choice(allowed) = setting.kind else { return None };
        let text = last(setting, raw.as_ref());
        if text.is_empty() && raw.is_none() {
            return None;
        }
        self.accept(setting, raw.as_ref(), parse_choice(text, allowed))
    }

    /// JSON text as given, empty when not; only its syntax is checked.
    pub(super) fn json(&mut self, variable: &str) -> String {
        let (setting, raw) = self.find(variable);
        let text = last(setting, raw.as_ref());
        if text.is_empty() {
            return String::new();
        }
        let checked = setting.kind.check(text).map(|()| text.to_owned());
        self.accept(setting, raw.as_ref(), checked).unwrap_or_default()
    }

    /// An http or https address; `None` when empty.
    pub(super) fn http_url(&mut self, variable: &str) -> Option<Url> {
        let (setting, raw) = self.find(variable);
        let text = last(setting, raw.as_ref());
        if text.is_empty() {
            return None;
        }
        let url = parse_http_url(text);
        self.accept(setting, raw.as_ref(), url)
    }

    /// Whether what was given has the syntax of the setting's type; if not, that is an error.
    /// An address with http or https that must not be empty.
    pub(super) fn required_url(&mut self, variable: &str) -> Url {
        let before = self.errors.len();
        self.http_url(variable).unwrap_or_else(|| {
            if self.errors.len() == before {
                self.refuse(variable, "it must not be empty");
            }
            Url::parse("http://localhost").expect("a constant that is an address")
        })
    }

    pub(super) fn is_well_formed(&mut self, setting: &'static Setting) -> bool {
        let Some(raw) = self.sources.lookup(setting) else { return true };
        let text = *raw.values.last().unwrap_or(&"");
        if text.is_empty() && raw.origin != Origin::Flag {
            return true;
        }
        self.accept(setting, Some(&raw), setting.kind.check(text)).is_some()
    }

    /// An error about a value that has the right syntax.
    pub(super) fn refuse(&mut self, variable: &str, reason: impl Display) {
        self.errors.push(ConfigError::about(variable, reason));
    }

    pub(super) fn info(&mut self, variable: &str, text: impl Into<String>) {
        self.note(NoticeLevel::Info, variable, text.into());
    }

    pub(super) fn warn(&mut self, variable: &str, text: impl Into<String>) {
        self.note(NoticeLevel::Warning, variable, text.into());
    }

    fn note(&mut self, level: NoticeLevel, variable: &str, text: String) {
        self.notices.push(Notice { level, variable: variable.to_owned(), text });
    }

    fn find(&mut self, variable: &str) -> (&'static Setting, Option<Raw<'a>>) {
        let setting = settings::find(variable).expect("every setting that is read is in the table");
        #[cfg(test)]
        self.seen.insert(setting.variable);
        (setting, self.sources.lookup(setting))
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
        Some(Origin::Variable(name)) => name,
        _ => setting.variable,
    };
    let flag = setting.flag.unwrap_or("(none)");
    let place = match raw.map(|raw| raw.origin) {
        Some(Origin::Flag) => format!("for flag {flag} (environment variable \"{variable}\")"),
        Some(Origin::Override) => format!("for {variable}"),
        _ => format!("from environment variable \"{variable}\" for flag {flag}"),
    };
    let message =
        format!("could not parse {value} as {} value {place}: {reason}", setting.kind.name());
    ConfigError { variable: variable.to_owned(), message }
}
