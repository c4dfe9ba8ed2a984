//! Which template a mail is rendered with, and what it can say.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::mail::{MailTemplate, MailVariables};
use crate::notify::builtin::{BuiltinTemplates, LAST_RESORT_LOCALE};
use crate::notify::operator::{OperatorTemplates, TemplateError};
use crate::notify::rendered::{Rendered, SMS, Values};

/// The operator's templates over the shipped ones.
pub struct TemplateSet {
    operator: OperatorTemplates,
    builtin: BuiltinTemplates,
    default_locale: String,
}

impl fmt::Debug for TemplateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplateSet").field("operator", &self.operator).finish_non_exhaustive()
    }
}

impl TemplateSet {
    /// Reads the first of `folder`, `./email-templates` and `./share/email-templates` that exists.
    pub fn load(folder: &Path, default_locale: &str) -> Result<Self, TemplateError> {
        let candidates = [
            folder.to_owned(),
            PathBuf::from("email-templates"),
            PathBuf::from("share/email-templates"),
        ];
        let operator = match candidates.iter().find(|candidate| candidate.is_dir()) {
            Some(folder) => {
                tracing::info!(folder = %folder.display(), "mail templates read");
                OperatorTemplates::read(folder)?
            }
            None => OperatorTemplates::default(),
        };
        Ok(Self {
            operator,
            builtin: BuiltinTemplates::new(),
            default_locale: default_locale.to_owned(),
        })
    }

    /// Renders a mail: the same template always, in the locale or the nearest one that exists.
    pub fn render(
        &self,
        template: MailTemplate,
        locale: &str,
        variables: &MailVariables,
    ) -> Result<Rendered, minijinja::Error> {
        let for_subject = variables.for_subject();
        for candidate in [locale, &self.default_locale] {
            let values = Values::new(variables, candidate);
            let subject = Values::new(&for_subject, candidate);
            if let Some(rendered) = self.operator.render(template, candidate, &values, &subject) {
                if candidate != locale {
                    warn_missing(template.name(), locale, candidate);
                }
                return Ok(rendered);
            }
        }
        let candidate = [locale, &self.default_locale]
            .into_iter()
            .find(|candidate| BuiltinTemplates::has_locale(candidate))
            .unwrap_or(LAST_RESORT_LOCALE);
        if candidate != locale || !self.operator.is_empty() {
            warn_missing(template.name(), locale, candidate);
        }
        let values = Values::new(variables, candidate);
        self.builtin.render(template, candidate, &values, &Values::new(&for_subject, candidate))
    }

    /// Renders the SMS that carries a code; the same fallbacks.
    pub fn render_sms(&self, locale: &str, code: &str) -> Result<String, minijinja::Error> {
        for candidate in [locale, &self.default_locale] {
            if let Some(text) = self.operator.render_sms(candidate, code) {
                if candidate != locale {
                    warn_missing(SMS, locale, candidate);
                }
                return Ok(text);
            }
        }
        let candidate = [locale, &self.default_locale]
            .into_iter()
            .find(|candidate| BuiltinTemplates::has_locale(candidate))
            .unwrap_or(LAST_RESORT_LOCALE);
        if candidate != locale {
            warn_missing(SMS, locale, candidate);
        }
        self.builtin.render_sms(candidate, code)
    }
}

fn warn_missing(template: &str, locale: &str, used: &str) {
    tracing::warn!(
        component = "mailer",
        template,
        locale,
        used_locale = used,
        "mail template not found, using a fallback"
    );
}

#[cfg(test)]
#[path = "templates_tests.rs"]
mod tests;
