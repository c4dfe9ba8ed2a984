//! The page that a mailed link leads to where only a button uses the link up
//! (`AUTH_VERIFY_LINK=confirm`).
//!
//! Its title and its button are those of the mail, so that people recognise what they clicked.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Deserialize;
use serde_json::Value;

use crate::domain::mail::MailTemplate;
use crate::notify::builtin::{LAST_RESORT_LOCALE, WORDS};
use crate::notify::html;

/// What the page says in one locale.
struct Words {
    own: OwnWords,
    /// The words of mails, by template.
    mails: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnWords {
    text: String,
    /// Of a link whose mail is not known.
    title: String,
    action: String,
    /// Both, of the link that takes a change of address back.
    undo: String,
}

static LOCALES: LazyLock<BTreeMap<&'static str, Words>> = LazyLock::new(|| {
    let mut own: BTreeMap<String, OwnWords> =
        serde_json::from_str(include_str!("../../templates/link/words.json"))
            .expect("the shipped words are tested");
    WORDS
        .iter()
        .map(|(locale, mails)| {
            let own = own.remove(*locale).expect("the page speaks all languages of mails");
            let mails = serde_json::from_str(mails).expect("the shipped words are tested");
            (*locale, Words { own, mails })
        })
        .collect()
});

static PAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    pages.set_undefined_behavior(UndefinedBehavior::Strict);
    pages.set_auto_escape_callback(|_name| AutoEscape::Html);
    pages.set_formatter(html::formatter);
    pages
        .add_template("page.html", include_str!("../../templates/link/page.html"))
        .expect("the shipped page is tested");
    pages
});

/// The page for the link of a mail, if that is known, in the first of these languages that there is.
pub fn page<'a>(
    template: Option<MailTemplate>,
    languages: impl IntoIterator<Item = &'a str>,
) -> String {
    let (locale, words) = languages
        .into_iter()
        .find_map(|language| LOCALES.get_key_value(language))
        .unwrap_or((&LAST_RESORT_LOCALE, &LOCALES[LAST_RESORT_LOCALE]));
    let (title, action) = words.title_and_action(template);
    let page = PAGE.get_template("page.html").expect("the shipped page is tested");
    page.render(context! { locale => *locale, title, action, text => words.own.text.as_str() })
        .expect("the shipped page is tested with every word")
}

impl Words {
    fn title_and_action(&self, template: Option<MailTemplate>) -> (&str, &str) {
        let own = (self.own.title.as_str(), self.own.action.as_str());
        match template {
            None => own,
            Some(MailTemplate::NoticeEmailChanged) => (&self.own.undo, &self.own.undo),
            Some(template) => {
                let mail = &self.mails[template.name()];
                let word = |name: &str| mail[name].as_str();
                word("title").zip(word("action")).unwrap_or(own)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::ticket::TicketKind;

    #[test]
    fn every_kind_of_link_has_a_page_in_every_language_of_mails() {
        for (locale, _) in WORDS {
            let generic = page(None, [locale]);
            assert!(generic.contains(&format!("lang=\"{locale}\"")), "{generic}");
            for kind in TicketKind::ALL.into_iter().filter(|kind| kind.is_link()) {
                let page = page(kind.template(), ["xx", locale]);
                assert_ne!(page, generic, "{locale} {kind:?}");
                assert!(!page.contains("{{") && !page.contains("{%"), "{page}");
                assert!(page.contains("<form method=\"post\"><button type=\"submit\">"), "{page}");
                assert!(!page.contains("<script"), "{page}");
            }
        }
    }

    #[test]
    fn without_a_language_that_there_is_it_is_english() {
        assert!(page(None, []).contains("lang=\"en\""));
        assert!(page(None, ["de", "fr", "en"]).contains("lang=\"fr\""));
    }
}
