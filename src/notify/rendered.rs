//! A rendered mail, and the values that templates may name.

use secrecy::ExposeSecret as _;

use crate::domain::mail::MailVariables;

/// Name of the template of SMS.
pub const SMS: &str = "signin-passwordless-sms";

/// A mail's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub subject: String,
    pub html: String,
    /// The plain alternative; operators' templates need not have one.
    pub text: Option<String>,
}

/// The variables by the names that templates use: nine, and two more in notices.
pub struct Values<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Values<'a> {
    /// `locale` is the one really used.
    pub fn new(variables: &'a MailVariables, locale: &'a str) -> Self {
        Self(vec![
            ("link", variables.link.expose_secret()),
            ("displayName", &variables.display_name),
            ("email", &variables.email),
            ("newEmail", &variables.new_email),
            ("ticket", variables.ticket.expose_secret()),
            ("redirectTo", &variables.redirect_to),
            ("locale", locale),
            ("serverUrl", &variables.server_url),
            ("clientUrl", variables.client_url.as_str()),
            ("time", &variables.time),
            ("detail", &variables.detail),
        ])
    }

    /// The value of a variable; names are case-sensitive.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// Name and value of all of them.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a, '_> {
        self.0.iter().copied()
    }
}
