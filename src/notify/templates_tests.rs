//! What mails say, whatever people call themselves.

use std::fs;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;

use super::*;
use crate::domain::mail::MailContent;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path =
            std::env::temp_dir().join(format!("keywright-templates-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, path: &str, content: &str) -> &Self {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn load(&self, default_locale: &str) -> TemplateSet {
        TemplateSet::load(&self.0, default_locale).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn builtin() -> TemplateSet {
    TemplateSet::load(Path::new("/nowhere"), "en").unwrap()
}

fn variables() -> MailVariables {
    MailVariables {
        link: "https://auth.example.com/v1/verify?redirectTo=x&ticket=verifyEmail%3A1&type=t"
            .into(),
        display_name: "<b onclick=\"x\">Ann & 'Bob'</b>".to_owned(),
        email: "ann@example.com".to_owned(),
        new_email: "ann+<i>@example.com".to_owned(),
        ticket: "048213".into(),
        redirect_to: "https://app.example.com/?a=1&b=\"><script>alert(1)</script>".to_owned(),
        server_url: "https://auth.example.com/v1".to_owned(),
        client_url: "https://app.example.com".to_owned(),
        time: "2027-01-15 08:00 UTC".to_owned(),
        detail: "new.example.com".to_owned(),
    }
}

#[test]
fn every_built_in_template_renders_in_all_its_parts_and_locales() {
    let templates = builtin();
    let locales = ["bg", "cs", "en", "es", "fr"];
    for (template, locale) in
        MailTemplate::ALL.into_iter().flat_map(|template| locales.map(|locale| (template, locale)))
    {
        let mail = templates.render(template, locale, &variables()).unwrap();
        assert!(!mail.subject.is_empty() && !mail.subject.contains('\n'), "{:?}", mail.subject);
        assert!(mail.html.contains(&format!("<html lang=\"{locale}\"")));
        assert!(mail.html.contains("</html>") && !mail.html.contains("{{"));
        let text = mail.text.unwrap();
        let has_link = match template.content() {
            MailContent::Link => true,
            MailContent::Code => false,
            MailContent::Notice => continue,
        };
        if has_link {
            assert!(mail.html.contains(
                "href=\"https://auth.example.com/v1/verify?redirectTo=x&amp;ticket=verifyEmail%3A1&amp;type=t\""
            ));
            assert!(text.contains("/verify?redirectTo=x&ticket=verifyEmail%3A1&type=t\n"));
        } else {
            assert!(mail.html.contains("048213") && text.contains("048213"));
        }
    }
}

#[test]
fn values_are_text_in_html_and_verbatim_elsewhere() {
    let templates = builtin();
    let mail = templates.render(MailTemplate::SigninOtp, "en", &variables()).unwrap();
    assert!(!mail.html.contains("<script>"));
    assert!(mail.html.contains("b=&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(mail.text.unwrap().contains("<script>alert(1)</script>"));
    let mail = templates.render(MailTemplate::EmailConfirmChange, "en", &variables()).unwrap();
    assert!(mail.html.contains("ann+&lt;i&gt;@example.com"));
}

#[test]
fn an_unknown_locale_gets_the_same_template_in_the_default_locale() {
    let mail = builtin().render(MailTemplate::PasswordReset, "xx", &variables()).unwrap();
    assert_eq!(mail.subject, "Reset your password");
    assert!(mail.html.contains("<html lang=\"en\""));
}

#[test]
fn an_operators_template_sees_nine_variables_and_escapes_html_only() {
    let all = "${link}|${displayName}|${email}|${newEmail}|${ticket}|${redirectTo}|${locale}|\
               ${serverUrl}|${clientUrl}|${unknown}|${ link}|${Link}|$ {x} $5 }";
    let folder = Folder::new();
    folder
        .write("en/email-verify/subject.txt", all)
        .write("en/email-verify/body.html", all)
        .write("en/email-verify/body.txt", all)
        .write("README.md", "${not a template");
    let mail = folder.load("en").render(MailTemplate::EmailVerify, "en", &variables()).unwrap();
    let v = variables();
    let filled = |link: &str, redirect_to: &str| {
        format!(
            "{link}|{}|{}|{}|048213|{redirect_to}|en|{}|{}||||$ {{x}} $5 }}",
            v.display_name, v.email, v.new_email, v.server_url, v.client_url
        )
    };
    let expected = filled(v.link.expose_secret(), &v.redirect_to);
    assert_eq!(mail.text.as_deref(), Some(expected.as_str()));
    assert_eq!(mail.subject, filled("auth.example.com", "app.example.com"), "hosts alone");
    assert!(mail.html.contains("&lt;b onclick=&quot;x&quot;&gt;Ann &amp; &#39;Bob&#39;&lt;/b&gt;"));
    assert!(!mail.html.contains("<b") && !mail.html.contains("<script>"));
}

#[test]
fn values_are_not_templates() {
    let folder = Folder::new();
    folder
        .write("en/email-verify/subject.txt", "${displayName}")
        .write("en/email-verify/body.html", "${displayName}");
    let names = MailVariables {
        display_name: "${ticket} {{ ticket }}".to_owned(),
        email: "{{ ticket }}@example.com".to_owned(),
        ticket: "secret".into(),
        ..MailVariables::default()
    };
    let mail = folder.load("en").render(MailTemplate::EmailVerify, "en", &names).unwrap();
    assert_eq!(mail.html, "${ticket} {{ ticket }}");
    assert_eq!(mail.text, None);
    let mail = builtin().render(MailTemplate::EmailVerify, "en", &names).unwrap();
    assert!(mail.html.contains("{{ ticket }}@example.com"));
}

#[test]
fn fallback_goes_over_the_operators_default_locale_to_the_built_in_templates() {
    let folder = Folder::new();
    folder
        .write("de/email-verify/subject.txt", "Bitte ${locale}")
        .write("de/email-verify/body.html", "ja")
        .write("fr/email-verify/subject.txt", "only a subject");
    let templates = folder.load("de");
    let render = |template, locale| templates.render(template, locale, &variables()).unwrap();
    assert_eq!(render(MailTemplate::EmailVerify, "de").subject, "Bitte de");
    assert_eq!(render(MailTemplate::EmailVerify, "fr").subject, "Bitte de");
    // Never another template.
    assert_eq!(render(MailTemplate::PasswordReset, "de").subject, "Reset your password");
}

#[test]
fn an_unclosed_variable_stops_the_start_and_names_the_file() {
    let folder = Folder::new();
    folder
        .write("en/email-verify/subject.txt", "ok")
        .write("en/email-verify/body.html", "hello ${displayName");
    let error = TemplateSet::load(&folder.0, "en").unwrap_err().to_string();
    assert!(error.contains("en/email-verify/body.html"), "{error}");
}

#[test]
fn an_sms_has_the_code_and_fits_into_one_message() {
    let templates = builtin();
    for locale in ["bg", "cs", "en", "es", "fr", "xx"] {
        let text = templates.render_sms(locale, "048213").unwrap();
        assert!(text.contains("048213") && text.chars().count() <= 70, "{text}");
    }
    assert_eq!(templates.render_sms("xx", "1").unwrap(), templates.render_sms("en", "1").unwrap());
}

#[test]
fn an_operators_sms_knows_its_code_only() {
    let folder = Folder::new();
    folder.write("de/signin-passwordless-sms/body.txt", "Code ${code}${email} {{ code }}");
    let templates = folder.load("de");
    for locale in ["de", "xx"] {
        assert_eq!(templates.render_sms(locale, "048213").unwrap(), "Code 048213 {{ code }}");
    }
}

/// What a notice has to say, and nothing that a stranger could have written.
#[test]
fn every_notice_says_what_happened_when_and_what_to_do_in_every_locale() {
    let templates = builtin();
    let all = MailTemplate::ALL.into_iter();
    for template in all.filter(|template| template.content() == MailContent::Notice) {
        for locale in ["bg", "cs", "en", "es", "fr"] {
            let with_link = variables();
            let without = MailVariables { link: "".into(), ticket: "".into(), ..variables() };
            for (values, is_linked) in
                [(&with_link, template == MailTemplate::NoticeEmailChanged), (&without, false)]
            {
                let mail = templates.render(template, locale, values).unwrap();
                let text = mail.text.unwrap();
                for body in [&mail.html, &text] {
                    for said in ["ann@example.com", "2027-01-15 08:00 UTC"] {
                        assert!(body.contains(said), "{locale} {template:?}: {body}");
                    }
                    assert!(!body.contains("{{") && !body.contains("{%"), "{body}");
                    for foreign in ["Bob", "script", "ann+", "app.example.com/?"] {
                        assert!(!body.contains(foreign), "{locale} {template:?}: {body}");
                    }
                    assert_eq!(
                        body.contains("/verify?"),
                        is_linked,
                        "{locale} {template:?}: {body}"
                    );
                }
                assert!(text.lines().count() >= 5 && !text.contains("\n\n\n"), "{text}");
            }
        }
    }
}

/// The words of the locales differ: nobody forgot one.
#[test]
fn every_locale_has_words_of_its_own() {
    let templates = builtin();
    for template in MailTemplate::ALL {
        let subjects: std::collections::BTreeSet<_> = ["bg", "cs", "en", "es", "fr"]
            .map(|locale| templates.render(template, locale, &variables()).unwrap().subject)
            .into();
        assert_eq!(subjects.len(), 5);
    }
}
