//! The templates that Keywright ships, compiled into the program.

use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use crate::domain::mail::MailTemplate;
use crate::notify::html;
use crate::notify::templates::{Rendered, Values};

macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../templates/", $name)))),*]
    };
}

/// Path below `templates/`, and content.
const SOURCES: [(&str, &str); 16] = sources![
    "layout.html",
    "en/email-verify/subject.txt",
    "en/email-verify/body.html",
    "en/email-verify/body.txt",
    "en/email-confirm-change/subject.txt",
    "en/email-confirm-change/body.html",
    "en/email-confirm-change/body.txt",
    "en/signin-passwordless/subject.txt",
    "en/signin-passwordless/body.html",
    "en/signin-passwordless/body.txt",
    "en/signin-otp/subject.txt",
    "en/signin-otp/body.html",
    "en/signin-otp/body.txt",
    "en/password-reset/subject.txt",
    "en/password-reset/body.html",
    "en/password-reset/body.txt",
];

/// The locale in which every template exists.
pub const LAST_RESORT_LOCALE: &str = "en";

/// The compiled templates.
pub struct BuiltinTemplates {
    environment: Environment<'static>,
}

impl BuiltinTemplates {
    /// Compiles them.
    pub fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| {
            if name.rsplit('.').next() == Some("html") {
                AutoEscape::Html
            } else {
                AutoEscape::None
            }
        });
        environment.set_formatter(html::formatter);
        for (name, source) in SOURCES {
            environment.add_template(name, source).expect("the shipped templates are tested");
        }
        Self { environment }
    }

    /// Whether there are templates in this locale.
    pub fn has_locale(&self, locale: &str) -> bool {
        let first = MailTemplate::ALL[0].name();
        self.environment.get_template(&format!("{locale}/{first}/subject.txt")).is_ok()
    }

    /// Renders the template in a locale that exists.
    pub fn render(
        &self,
        template: MailTemplate,
        locale: &str,
        values: &Values<'_>,
    ) -> Result<Rendered, minijinja::Error> {
        let context = minijinja::Value::from_pairs(values.pairs());
        let part = |file: &str| {
            self.environment
                .get_template(&format!("{locale}/{}/{file}", template.name()))?
                .render(&context)
        };
        Ok(Rendered {
            subject: part("subject.txt")?,
            html: part("body.html")?,
            text: Some(part("body.txt")?),
        })
    }
}

impl Default for BuiltinTemplates {
    fn default() -> Self {
        Self::new()
    }
}
