//! Password hashes: the form that is written, and every form that is read.
//!
//! The reference writes bcrypt; Keywright writes argon2id unless stored forms must stay readable by
//! the reference. Both are read for ever, and rewritten in the wanted form when a sign-in proves
//! the password.

mod argon2id;
mod bcrypt;

use secrecy::{ExposeSecret as _, SecretString};

use crate::config::PasswordsConfig;
use crate::domain::error::AuthError;

/// Longest input of bcrypt; more would be cut off silently.
const BCRYPT_MAX_BYTES: usize = 72;

/// A form in which a password hash is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordForm {
    Bcrypt,
    Argon2id,
}

/// Which forms password hashes in this database may have: what a sign-in of an unknown address
/// must imitate to take as long as that of a known one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PasswordForms {
    pub bcrypt: bool,
    pub argon2id: bool,
}

/// How to hash, and what there may be to verify.
#[derive(Clone, Debug)]
pub struct PasswordSettings {
    config: PasswordsConfig,
    written: PasswordForm,
    present: PasswordForms,
    dummies: Dummies,
}

/// Hashes of nothing, in the parameters that are written, for addresses that have none.
#[derive(Clone, Debug)]
struct Dummies {
    bcrypt: String,
    argon2id: String,
}

/// Whether a password was right, and the new stored form if the old one should be replaced.
#[derive(Clone, Debug)]
pub struct VerifyOutcome {
    pub matches: bool,
    pub upgraded: Option<String>,
}

impl PasswordSettings {
    /// New hashes are `written`; rows may hold all forms of `present`. Costs one hash of each form.
    pub fn new(
        config: &PasswordsConfig,
        written: PasswordForm,
        present: PasswordForms,
    ) -> Result<Self, AuthError> {
        let dummies =
            Dummies { bcrypt: bcrypt::hash(b"", config)?, argon2id: argon2id::hash(b"", config)? };
        Ok(Self { config: config.clone(), written, present, dummies })
    }

    /// Hashes a new password; takes tens of milliseconds of CPU.
    pub fn hash(&self, password: &SecretString) -> Result<String, AuthError> {
        self.hash_as(self.written, password.expose_secret().as_bytes())
    }

    /// Compares a password with a stored hash; takes tens of milliseconds of CPU.
    ///
    /// A failure does one verification of every form that is present, whether there was a hash, and
    /// of whatever form, or not; so its time tells nothing about the address
    /// (docs/reference-behaviour.md#timing-does-not-tell).
    pub fn verify(&self, password: &SecretString, stored: Option<&SecretString>) -> VerifyOutcome {
        let password = password.expose_secret().as_bytes();
        let stored = stored.map_or("", |stored| stored.expose_secret());
        let form = form_of(stored);
        let matches = match form {
            Some(PasswordForm::Bcrypt) => bcrypt::verify(password, stored),
            Some(PasswordForm::Argon2id) => argon2id::verify(password, stored),
            None => false,
        };
        if !matches {
            self.imitate(password, form);
        }
        VerifyOutcome { matches, upgraded: self.upgrade(matches, form, password, stored) }
    }

    /// Does the work of the forms that `done` was not.
    fn imitate(&self, password: &[u8], done: Option<PasswordForm>) {
        if self.present.bcrypt && done != Some(PasswordForm::Bcrypt) {
            std::hint::black_box(bcrypt::verify(password, &self.dummies.bcrypt));
        }
        if self.present.argon2id && done != Some(PasswordForm::Argon2id) {
            std::hint::black_box(argon2id::verify(password, &self.dummies.argon2id));
        }
    }

    /// The same password in the wanted form, if it is stored in another or with weaker parameters.
    fn upgrade(
        &self,
        matches: bool,
        form: Option<PasswordForm>,
        password: &[u8],
        stored: &str,
    ) -> Option<String> {
        let current = form == Some(self.written)
            && match self.written {
                PasswordForm::Bcrypt => bcrypt::is_current(stored, &self.config),
                PasswordForm::Argon2id => argon2id::is_current(stored, &self.config),
            };
        // bcrypt proves the first 72 bytes only: what was typed after them must not become binding.
        let is_proven = form != Some(PasswordForm::Bcrypt) || password.len() <= BCRYPT_MAX_BYTES;
        if !matches || current || !is_proven {
            return None;
        }
        // What cannot be written in the wanted form stays as it is.
        self.hash_as(self.written, password).ok()
    }

    fn hash_as(&self, form: PasswordForm, password: &[u8]) -> Result<String, AuthError> {
        match form {
            PasswordForm::Bcrypt if password.len() > BCRYPT_MAX_BYTES => {
                Err(AuthError::InvalidRequest(format!(
                    "password: at most {BCRYPT_MAX_BYTES} bytes can be stored"
                )))
            }
            PasswordForm::Bcrypt => bcrypt::hash(password, &self.config),
            PasswordForm::Argon2id => argon2id::hash(password, &self.config),
        }
    }
}

/// The form of a stored hash; `None` for none and for what nobody can verify.
fn form_of(stored: &str) -> Option<PasswordForm> {
    if stored.starts_with("$argon2id$") {
        argon2id::is_hash(stored).then_some(PasswordForm::Argon2id)
    } else {
        bcrypt::is_hash(stored).then_some(PasswordForm::Bcrypt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: PasswordForms = PasswordForms { bcrypt: true, argon2id: true };

    fn settings(written: PasswordForm) -> PasswordSettings {
        let config = PasswordsConfig {
            change_ends: crate::config::ChangeEnds::Sessions,
            min_length: 3,
            argon2_memory_kib: 64,
            argon2_iterations: 1,
            argon2_parallelism: 1,
            bcrypt_cost: 4,
            threads: 1,
            queue: 1,
            least_share: 0.1,
        };
        PasswordSettings::new(&config, written, BOTH).unwrap()
    }

    fn verify(settings: &PasswordSettings, password: &str, stored: &str) -> VerifyOutcome {
        settings.verify(&password.into(), Some(&stored.into()))
    }

    #[test]
    fn a_password_matches_its_own_hash_in_both_forms() {
        for form in [PasswordForm::Bcrypt, PasswordForm::Argon2id] {
            let settings = settings(form);
            let hash = settings.hash(&"secret".into()).unwrap();
            let right = verify(&settings, "secret", &hash);
            assert!(right.matches && right.upgraded.is_none());
            assert!(!verify(&settings, "Secret", &hash).matches);
        }
    }

    #[test]
    fn the_reference_reads_what_is_written_for_it() {
        let hash = settings(PasswordForm::Bcrypt).hash(&"secret".into()).unwrap();
        assert!(hash.starts_with("$2a$04$") && hash.len() == 60, "{hash}");
    }

    #[test]
    fn hashes_of_every_bcrypt_dialect_are_read() {
        let settings = settings(PasswordForm::Argon2id);
        let hash = bcrypt::hash(b"secret", &settings.config).unwrap();
        for dialect in ["$2a$", "$2b$", "$2y$", "$2$"] {
            let hash = hash.replacen("$2a$", dialect, 1);
            assert!(verify(&settings, "secret", &hash).matches, "{dialect}");
        }
    }

    #[test]
    fn another_form_is_replaced_once_the_password_is_proven() {
        let bcrypt = settings(PasswordForm::Bcrypt).hash(&"secret".into()).unwrap();
        let settings = settings(PasswordForm::Argon2id);
        let upgraded = verify(&settings, "secret", &bcrypt).upgraded.unwrap();
        assert!(upgraded.starts_with("$argon2id$"));
        assert!(verify(&settings, "wrong", &bcrypt).upgraded.is_none());
    }

    #[test]
    fn other_parameters_are_replaced_too() {
        let old = settings(PasswordForm::Argon2id).hash(&"secret".into()).unwrap();
        let mut stronger = settings(PasswordForm::Argon2id);
        stronger.config.argon2_iterations = 2;
        assert!(verify(&stronger, "secret", &old).upgraded.is_some());
    }

    #[test]
    fn what_bcrypt_would_cut_off_is_refused() {
        let long: SecretString = "é".repeat(40).into();
        let refused = settings(PasswordForm::Bcrypt).hash(&long);
        assert!(matches!(refused, Err(AuthError::InvalidRequest(_))));
        let settings = settings(PasswordForm::Argon2id);
        let hash = settings.hash(&long).unwrap();
        assert!(!verify(&settings, &"é".repeat(36), &hash).matches);
    }

    #[test]
    fn what_bcrypt_did_not_prove_does_not_become_binding() {
        let written = settings(PasswordForm::Bcrypt);
        let cut = "a".repeat(72);
        let stored = written.hash(&cut.as_str().into()).unwrap();
        let outcome = verify(&settings(PasswordForm::Argon2id), &format!("{cut}b"), &stored);
        assert!(outcome.matches && outcome.upgraded.is_none());
    }

    #[test]
    fn a_broken_hash_counts_as_none_and_so_costs_the_same() {
        let hash = settings(PasswordForm::Bcrypt).hash(&"x".into()).unwrap();
        assert_eq!(form_of(&hash), Some(PasswordForm::Bcrypt));
        let impossible_cost = hash.replacen("$04$", "$99$", 1);
        for broken in ["", "$2a$04$short", "$argon2id$v=19$m=1", &impossible_cost] {
            assert_eq!(form_of(broken), None, "{broken}");
        }
    }

    #[test]
    fn nothing_matches_an_absent_or_broken_hash() {
        let settings = settings(PasswordForm::Argon2id);
        assert!(!settings.verify(&"x".into(), None).matches);
        for broken in ["", "plain", "$2a$04$short", "$argon2id$v=19$m=1", "$1$abc"] {
            assert!(!verify(&settings, broken, broken).matches, "{broken}");
        }
    }
}
