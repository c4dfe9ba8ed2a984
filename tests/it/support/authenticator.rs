//! An authenticator application: it keeps a secret and shows codes.

use totp_rs::{Algorithm, Builder, Secret};

/// What a user's telephone would hold.
#[derive(Clone)]
pub(crate) struct Authenticator {
    secret: String,
}

impl Authenticator {
    pub(crate) fn new(secret: &str) -> Self {
        Self { secret: secret.to_owned() }
    }

    /// The code that it shows at this time.
    pub(crate) fn code(&self, now: time::OffsetDateTime) -> String {
        let secret = Secret::try_from_base32(&self.secret).unwrap();
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_step_duration(30)
            .with_secret(secret)
            .build()
            .unwrap()
            .generate(now.unix_timestamp().try_into().unwrap())
            .to_string()
    }

    /// Six digits that it does not show around this time.
    pub(crate) fn wrong_code(&self, now: time::OffsetDateTime) -> String {
        let near: Vec<String> =
            (-2..=2).map(|step| self.code(now + time::Duration::seconds(30 * step))).collect();
        (0..10).map(|number| format!("{number:06}")).find(|code| !near.contains(code)).unwrap()
    }
}
