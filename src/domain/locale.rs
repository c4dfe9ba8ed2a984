//! Which locales users may have (`AUTH_LOCALE_DEFAULT`, `AUTH_LOCALE_ALLOWED_LOCALES`).

/// The allowed locales; the default is always one of them.
#[derive(Clone, Debug)]
pub struct Locales {
    default: String,
    allowed: Vec<String>,
}

impl Locales {
    /// Appends the default to the list if it is missing there.
    pub fn new(default: String, mut allowed: Vec<String>) -> Self {
        if !allowed.contains(&default) {
            allowed.push(default.clone());
        }
        Self { default, allowed }
    }

    /// The wanted locale if it is allowed, else the default; never an error.
    pub fn resolve(&self, wanted: Option<&str>) -> &str {
        wanted
            .and_then(|wanted| self.allowed.iter().find(|allowed| *allowed == wanted))
            .unwrap_or(&self.default)
    }

    /// `AUTH_LOCALE_DEFAULT`.
    pub fn default_locale(&self) -> &str {
        &self.default
    }

    /// All allowed locales in configured order.
    pub fn allowed(&self) -> &[String] {
        &self.allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_that_is_not_allowed_becomes_the_default() {
        let locales = Locales::new("en".to_owned(), vec!["de".to_owned()]);
        assert_eq!(locales.resolve(Some("de")), "de");
        assert_eq!(locales.resolve(Some("en")), "en");
        assert_eq!(locales.resolve(Some("fr")), "en");
        assert_eq!(locales.resolve(Some("DE")), "en");
        assert_eq!(locales.resolve(None), "en");
        assert_eq!(locales.allowed(), ["de", "en"]);
    }
}
