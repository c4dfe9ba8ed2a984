//! An operator's own mail templates: a folder `<locale>/<template>/{subject.txt,body.html,body.txt}`.
//!
//! Read once, at start. `${name}` is the whole syntax.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::mail::MailTemplate;
use crate::notify::html::escape_html;
use crate::notify::rendered::{Rendered, SMS, Values};

/// Why a template folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("cannot read mail template {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("mail template {} has a ${{ without a closing brace", path.display())]
    Unclosed { path: PathBuf },
}

/// All usable templates of the folder.
#[derive(Debug, Default)]
pub struct OperatorTemplates {
    by_locale: HashMap<String, HashMap<MailTemplate, OperatorTemplate>>,
    sms: HashMap<String, Pattern>,
}

#[derive(Debug)]
struct OperatorTemplate {
    subject: Pattern,
    html: Pattern,
    text: Option<Pattern>,
}

impl OperatorTemplates {
    /// Reads the folder; a template without subject or HTML body does not exist.
    pub fn read(base: &Path) -> Result<Self, TemplateError> {
        let mut by_locale = HashMap::new();
        let mut all_sms = HashMap::new();
        let entries = std::fs::read_dir(base).map_err(|source| read_error(base, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| read_error(base, source))?;
            let Ok(locale) = entry.file_name().into_string() else { continue };
            let mut templates = HashMap::new();
            for template in MailTemplate::ALL {
                let folder = entry.path().join(template.name());
                let subject = read_pattern(folder.join("subject.txt"))?;
                let html = read_pattern(folder.join("body.html"))?;
                let text = read_pattern(folder.join("body.txt"))?;
                match (subject, html) {
                    (Some(subject), Some(html)) => {
                        templates.insert(template, OperatorTemplate { subject, html, text });
                    }
                    (None, None) => {}
                    _ => tracing::warn!(
                        template = template.name(),
                        locale,
                        "mail template lacks its subject or its body, it is not used"
                    ),
                }
            }
            if let Some(sms) = read_pattern(entry.path().join(SMS).join("body.txt"))? {
                all_sms.insert(locale.clone(), sms);
            }
            if !templates.is_empty() {
                by_locale.insert(locale, templates);
            }
        }
        Ok(Self { by_locale, sms: all_sms })
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.by_locale.is_empty()
    }

    /// Renders the template, if there is one for exactly this locale.
    pub fn render(
        &self,
        template: MailTemplate,
        locale: &str,
        values: &Values<'_>,
        for_subject: &Values<'_>,
    ) -> Option<Rendered> {
        let template = self.by_locale.get(locale)?.get(&template)?;
        Some(Rendered {
            subject: template.subject.fill(|name| for_subject.get(name), ToOwned::to_owned),
            html: template.html.fill(|name| values.get(name), escape_html),
            text: template
                .text
                .as_ref()
                .map(|text| text.fill(|name| values.get(name), ToOwned::to_owned)),
        })
    }

    /// Renders the SMS, whose only variable is `code`, if there is one for exactly this locale.
    pub fn render_sms(&self, locale: &str, code: &str) -> Option<String> {
        let value = |name: &str| (name == "code").then_some(code);
        Some(self.sms.get(locale)?.fill(value, ToOwned::to_owned))
    }
}

fn read_pattern(path: PathBuf) -> Result<Option<Pattern>, TemplateError> {
    match std::fs::read_to_string(&path) {
        Ok(source) => match Pattern::parse(&source) {
            Some(pattern) => Ok(Some(pattern)),
            None => Err(TemplateError::Unclosed { path }),
        },
        // Not a folder: a stray file beside the locales.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(source) => Err(read_error(&path, source)),
    }
}

fn read_error(path: &Path, source: io::Error) -> TemplateError {
    TemplateError::Read { path: path.to_owned(), source }
}

/// A text with `${name}` in it.
#[derive(Debug)]
struct Pattern(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Pattern {
    /// `None` if a `${` is not closed.
    fn parse(mut source: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        while let Some((text, rest)) = source.split_once("${") {
            let (name, rest) = rest.split_once('}')?;
            pieces.push(Piece::Text(text.to_owned()));
            pieces.push(Piece::Variable(name.to_owned()));
            source = rest;
        }
        pieces.push(Piece::Text(source.to_owned()));
        Some(Self(pieces))
    }

    /// Unknown names are empty; values are never parsed again.
    fn fill<'a>(
        &self,
        value: impl Fn(&str) -> Option<&'a str>,
        escape: impl Fn(&str) -> String,
    ) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Variable(name) => {
                    filled.push_str(&escape(value(name).unwrap_or_default()));
                }
            }
        }
        filled
    }
}
