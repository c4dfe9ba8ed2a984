//! Allow and block lists for mail addresses (`AUTH_ACCESS_CONTROL_*`).

use std::collections::HashSet;

/// The four lists as configured.
#[derive(Clone, Debug, Default)]
pub struct EmailLists {
    /// `AUTH_ACCESS_CONTROL_BLOCKED_EMAILS`.
    pub blocked_emails: Vec<String>,
    /// `AUTH_ACCESS_CONTROL_ALLOWED_EMAILS`.
    pub allowed_emails: Vec<String>,
    /// `AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS`.
    pub blocked_domains: Vec<String>,
    /// `AUTH_ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS`.
    pub allowed_domains: Vec<String>,
}

/// Decides which addresses may have an account here; compares without case.
#[derive(Clone, Debug, Default)]
pub struct EmailAccess {
    blocked_emails: HashSet<String>,
    allowed_emails: HashSet<String>,
    blocked_domains: HashSet<String>,
    allowed_domains: HashSet<String>,
}

impl EmailAccess {
    /// Prepares the lists for look-up.
    pub fn new(lists: EmailLists) -> Self {
        let set = |list: Vec<String>| list.iter().map(|entry| entry.to_lowercase()).collect();
        Self {
            blocked_emails: set(lists.blocked_emails),
            allowed_emails: set(lists.allowed_emails),
            blocked_domains: set(lists.blocked_domains),
            allowed_domains: set(lists.allowed_domains),
        }
    }

    /// Whether there are no lists, so that every address is allowed.
    pub fn is_open(&self) -> bool {
        let lists = [
            &self.blocked_emails,
            &self.allowed_emails,
            &self.blocked_domains,
            &self.allowed_domains,
        ];
        lists.into_iter().all(HashSet::is_empty)
    }

    /// Whether an account with this address may be used; the first list that knows it decides.
    ///
    /// Text without exactly one `@` is denied, so a user without an address is too.
    pub fn allows(&self, email: &str) -> bool {
        let email = email.to_lowercase();
        let Some((_, domain)) = email.split_once('@') else { return false };
        if domain.contains('@') || self.blocked_emails.contains(&email) {
            return false;
        }
        if self.allowed_emails.contains(&email) {
            return true;
        }
        if self.blocked_domains.contains(domain) {
            return false;
        }
        self.allowed_domains.contains(domain)
            || (self.allowed_emails.is_empty() && self.allowed_domains.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|&entry| entry.to_owned()).collect()
    }

    #[test]
    fn without_lists_every_address_is_allowed() {
        let access = EmailAccess::default();
        assert!(access.is_open() && access.allows("a@b.de"));
    }

    #[test]
    fn text_that_is_not_an_address_is_denied() {
        for text in ["", "a", "a@b@c"] {
            assert!(!EmailAccess::default().allows(text), "{text:?}");
        }
    }

    #[test]
    fn the_first_list_that_knows_the_address_decides() {
        let access = EmailAccess::new(EmailLists {
            blocked_emails: list(&["bad@good.com"]),
            allowed_emails: list(&["bad@good.com", "friend@bad.com"]),
            blocked_domains: list(&["bad.com", "both.com"]),
            allowed_domains: list(&["good.com", "both.com"]),
        });
        assert!(!access.allows("bad@good.com"));
        assert!(access.allows("friend@bad.com"));
        assert!(!access.allows("other@bad.com"));
        assert!(access.allows("any@good.com"));
        assert!(!access.allows("any@both.com"));
        assert!(!access.allows("any@elsewhere.com"));
    }

    #[test]
    fn either_allow_list_closes_the_door_for_the_rest() {
        let by_email = EmailAccess::new(EmailLists {
            allowed_emails: list(&["a@b.de"]),
            ..Default::default()
        });
        assert!(!by_email.allows("c@b.de"));
        let by_domain =
            EmailAccess::new(EmailLists { allowed_domains: list(&["b.de"]), ..Default::default() });
        assert!(!by_domain.allows("a@c.de"));
    }

    #[test]
    fn case_is_no_way_around_a_block() {
        let access = EmailAccess::new(EmailLists {
            blocked_emails: list(&["Me@Ex.com"]),
            blocked_domains: list(&["Blocked.com"]),
            ..Default::default()
        });
        assert!(!access.allows("x@BLOCKED.com"));
        assert!(!access.allows("mE@eX.COM"));
        assert!(access.allows("x@sub.blocked.com"));
    }
}
