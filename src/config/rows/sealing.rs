//! Settings of secrets at rest.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[ENCRYPTION_KEY];

pub(crate) const ENCRYPTION_KEY: Setting = Setting::secret(
    "encryption-key",
    "AUTH_ENCRYPTION_KEY",
    "Key that seals stored secrets (TOTP, signing keys), 16, 24 or 32 bytes in hexadecimal; unset means kept in the database",
);
