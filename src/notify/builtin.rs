//! The templates that Keywright ships, compiled into the program: one page for all mails, and the
//! words of each locale.

use std::collections::BTreeMap;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Deserialize;

use crate::domain::mail::MailTemplate;
use crate::notify::html;
use crate::notify::rendered::{Rendered, Values};

/// Each locale with its words, `templates/words/<locale>.json`.
pub(super) const WORDS: [(&str, &str); 5] = [
    ("bg", include_str!("../../templates/words/bg.json")),
    ("cs", include_str!("../../templates/words/cs.json")),
    ("en", include_str!("../../templates/words/en.json")),
    ("es", include_str!("../../templates/words/es.json")),
    ("fr", include_str!("../../templates/words/fr.json")),
];

/// The locale of those for whom there is no better one.
pub const LAST_RESORT_LOCALE: &str = "en";

/// The words of one locale; any of them may name variables.
#[derive(Deserialize)]
struct LocaleWords {
    /// Above the link in full.
    button: String,
    sms: String,
    notices: NoticeWords,
    #[serde(flatten)]
    mails: BTreeMap<String, MailWords>,
}

/// The words of one mail.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailWords {
    subject: String,
    title: String,
    /// What mail programs show in their list.
    preview: String,
    text: String,
    /// On the button; mails with a code have none.
    action: Option<String>,
    footer: String,
}

/// The words of security notices, which have much in common.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoticeWords {
    /// Behind each text.
    when: String,
    footer: String,
    mails: BTreeMap<String, OneNotice>,
}

/// What one notice says by itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneNotice {
    subject: String,
    text: String,
    action: Option<String>,
    /// Instead of the common one.
    footer: Option<String>,
}

impl NoticeWords {
    fn into_mails(self) -> impl Iterator<Item = (String, MailWords)> {
        let Self { when, footer, mails } = self;
        mails.into_iter().map(move |(template, notice)| {
            let OneNotice { subject, text, action, footer: own } = notice;
            let mail = MailWords {
                title: subject.clone(),
                subject,
                preview: text.clone(),
                text: format!("{text} {when}"),
                action,
                footer: own.unwrap_or_else(|| footer.clone()),
            };
            (template, mail)
        })
    }
}

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
        let mut add = |name: String, source: String| {
            environment.add_template_owned(name, source).expect("the shipped templates are tested");
        };
        add("mail.html".to_owned(), include_str!("../../templates/mail.html").to_owned());
        add("mail.txt".to_owned(), include_str!("../../templates/mail.txt").to_owned());
        for (locale, words) in WORDS {
            let words: LocaleWords =
                serde_json::from_str(words).expect("the shipped words are tested");
            add(format!("{locale}/sms.txt"), words.sms);
            for (template, mail) in words.mails.into_iter().chain(words.notices.into_mails()) {
                add(format!("{locale}/{template}/subject.txt"), mail.subject);
                for (part, source) in [
                    ("title", mail.title),
                    ("preview", mail.preview),
                    ("text", mail.text),
                    ("action", mail.action.unwrap_or_default()),
                    ("footer", mail.footer),
                    ("button", words.button.clone()),
                ] {
                    add(format!("{locale}/{template}/{part}.html"), source.clone());
                    add(format!("{locale}/{template}/{part}.txt"), source);
                }
            }
        }
        Self { environment }
    }

    /// Whether there are templates in this locale.
    pub fn has_locale(locale: &str) -> bool {
        WORDS.iter().any(|(known, _)| *known == locale)
    }

    /// Renders the template in a locale that exists.
    pub fn render(
        &self,
        template: MailTemplate,
        locale: &str,
        values: &Values<'_>,
        for_subject: &Values<'_>,
    ) -> Result<Rendered, minijinja::Error> {
        let template = template.name();
        let variables = Value::from_pairs(values.pairs());
        let body = |format: &str| {
            let mut words = BTreeMap::new();
            for part in ["title", "preview", "text", "action", "footer", "button"] {
                let name = format!("{locale}/{template}/{part}.{format}");
                let rendered = self.environment.get_template(&name)?.render(&variables)?;
                // Escaped already where that is needed.
                words.insert(part, Value::from_safe_string(rendered));
            }
            let words = Value::from_pairs(words);
            let context = minijinja::context! { words, ..variables.clone() };
            self.environment.get_template(&format!("mail.{format}"))?.render(context)
        };
        let subject = format!("{locale}/{template}/subject.txt");
        let for_subject = Value::from_pairs(for_subject.pairs());
        Ok(Rendered {
            subject: self.environment.get_template(&subject)?.render(for_subject)?,
            html: body("html")?,
            text: Some(body("txt")?),
        })
    }

    /// The SMS with a code in a locale that exists.
    pub fn render_sms(&self, locale: &str, code: &str) -> Result<String, minijinja::Error> {
        let template = self.environment.get_template(&format!("{locale}/sms.txt"))?;
        template.render(minijinja::context! { code })
    }
}

impl Default for BuiltinTemplates {
    fn default() -> Self {
        Self::new()
    }
}
