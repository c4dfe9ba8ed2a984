//! `auth.keywright_settings`: what all nodes on one database must agree on.

use secrecy::SecretBox;
use sqlx::PgExecutor;
use zeroize::Zeroizing;

use crate::config::StorageCompatibility;
pub use crate::domain::schema_origin::Origin;
use crate::passwords::{PasswordForm, PasswordForms};
use crate::persistence::measured_pool::MeasuredPool;

/// The name under which the presence of a form is recorded.
const fn form_setting(form: PasswordForm) -> &'static str {
    match form {
        PasswordForm::Bcrypt => "password_form.bcrypt",
        PasswordForm::Argon2id => "password_form.argon2id",
    }
}

/// Records who made the schema; the first record stays.
pub async fn record_origin(db: impl PgExecutor<'_>, origin: Origin) -> sqlx::Result<()> {
    insert_once(db, "origin", origin.as_str()).await
}

/// Who made the schema; `None` before the first `migrate`.
pub async fn find_origin(db: impl PgExecutor<'_>) -> sqlx::Result<Option<Origin>> {
    let value = find(db, "origin").await?;
    Ok(value.map(|word| match word.as_str() {
        "created" => Origin::Created,
        // Unknown words come from a later version; the cautious choice is safe.
        _ => Origin::Adopted,
    }))
}

/// Which stored forms to write: the operator's setting, else by the origin of the schema.
pub async fn storage_compatibility(
    db: impl PgExecutor<'_>,
    configured: Option<StorageCompatibility>,
) -> sqlx::Result<StorageCompatibility> {
    if let Some(configured) = configured {
        return Ok(configured);
    }
    Ok(match find_origin(db).await? {
        Some(Origin::Created) => StorageCompatibility::Keywright,
        Some(Origin::Adopted) | None => StorageCompatibility::Reference,
    })
}

/// Records that hashes of this form exist or are about to; call at start with what is written.
pub async fn record_password_form(db: impl PgExecutor<'_>, form: PasswordForm) -> sqlx::Result<()> {
    insert_once(db, form_setting(form), "present").await
}

/// All forms ever recorded.
pub async fn password_forms(db: impl PgExecutor<'_>) -> sqlx::Result<PasswordForms> {
    let row = sqlx::query!(
        r#"
        select count(*) filter (where name = $1) > 0 as "bcrypt!",
               count(*) filter (where name = $2) > 0 as "argon2id!"
        from auth.keywright_settings
        "#,
        form_setting(PasswordForm::Bcrypt),
        form_setting(PasswordForm::Argon2id)
    )
    .fetch_one(db)
    .await?;
    Ok(PasswordForms { bcrypt: row.bcrypt, argon2id: row.argon2id })
}

/// Keys that all nodes share and the database keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredKey {
    /// Of the refresh chain.
    Rotation,
    /// Of secrets at rest, unless one is configured.
    Sealing,
    /// Of the hashes by which nodes compare their secrets.
    Fingerprints,
}

impl StoredKey {
    const fn name(self) -> &'static str {
        match self {
            Self::Rotation => "rotation_key",
            Self::Sealing => "sealing_key",
            Self::Fingerprints => "fingerprint_key",
        }
    }
}

/// A key that all nodes share: `fresh` if the database had none yet.
pub async fn get_or_create_key(
    pool: &MeasuredPool,
    key: StoredKey,
    fresh: [u8; 32],
) -> sqlx::Result<SecretBox<[u8; 32]>> {
    let fresh = Zeroizing::new(fresh);
    insert_once(pool, key.name(), &Zeroizing::new(to_hex(fresh.as_slice()))).await?;
    find_key(pool, key).await?.ok_or(sqlx::Error::RowNotFound)
}

/// A key that all nodes share, if the database has it.
pub async fn find_key(
    db: impl PgExecutor<'_>,
    key: StoredKey,
) -> sqlx::Result<Option<SecretBox<[u8; 32]>>> {
    let Some(stored) = find(db, key.name()).await?.map(Zeroizing::new) else {
        return Ok(None);
    };
    let bytes = from_hex(&stored).ok_or_else(|| {
        let name = key.name();
        sqlx::Error::Decode(
            format!("{name} in auth.keywright_settings is not 64 hex digits").into(),
        )
    })?;
    Ok(Some(SecretBox::new(Box::new(bytes))))
}

async fn insert_once(db: impl PgExecutor<'_>, name: &str, value: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into auth.keywright_settings (name, value) values ($1, $2) on conflict do nothing",
        name,
        value
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn find(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select value from auth.keywright_settings where name = $1", name)
        .fetch_optional(db)
        .await
}

/// Lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// 32 bytes of 64 hexadecimal digits.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_the_way_through_hex() {
        let key: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 8).unwrap());
        assert_eq!(from_hex(&to_hex(&key)), Some(key));
        assert_eq!(from_hex("short"), None);
        assert_eq!(from_hex(&"é".repeat(32)), None);
    }
}
