//! Levels 1 to 18 of the reference's schema, in our own wording, and its migration lock.

/// The level at which the reference stands, and which its bookkeeping says when we are done.
pub const REFERENCE_LEVEL: i64 = 18;

/// One step of the reference's history.
#[derive(Debug)]
pub struct Level {
    /// 1 to 18.
    pub number: i64,
    sql: &'static str,
}

macro_rules! levels {
    ($($number:literal $file:literal),+ $(,)?) => {
        [$(Level {
            number: $number,
            sql: include_str!(concat!("../../migrations/reference/", $file)),
        }),+]
    };
}

/// All steps, in order.
pub static LEVELS: [Level; 18] = levels![
    1 "0001_create-initial-tables.sql",
    2 "0002_custom-user-fields.sql",
    3 "0003_discord-twitch-providers.sql",
    4 "0004_provider-request-options.sql",
    5 "0005_table-comments.sql",
    6 "0006_setup-webauthn.sql",
    7 "0007_add_authenticator_nickname.sql",
    8 "0008_workos-provider.sql",
    9 "0009_rename-authenticator-to-security-key.sql",
    10 "0010_azuread-provider.sql",
    11 "0011_add_refresh_token_hash_column.sql",
    12 "0012_add_refresh_token_metadata.sql",
    13 "0013_add_refresh_token_type.sql",
    14 "0014_alter_refresh_token_type.sql",
    15 "0015_rename_refresh_token_column.sql",
    16 "0016_index_on_refresh_tokens.sql",
    17 "0017_drop_user_providers_user_id_provider_id_key.sql",
    18 "0018_entraid-provider.sql",
];

/// Where the two extensions live, quoted as identifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionSchemas {
    pub citext: String,
    pub pgcrypto: String,
}

impl Level {
    /// The statements of this step, for a database whose extensions live in these schemas.
    pub fn sql(&self, schemas: &ExtensionSchemas) -> String {
        let ExtensionSchemas { citext, pgcrypto } = schemas;
        self.sql
            .replace("citext with schema public", &format!("citext with schema {citext}"))
            .replace("pgcrypto with schema public", &format!("pgcrypto with schema {pgcrypto}"))
            .replace("public.citext", &format!("{citext}.citext"))
            .replace("public.gen_random_uuid", &format!("{pgcrypto}.gen_random_uuid"))
    }
}

/// Key of the advisory lock under which the reference migrates this database (golang-migrate's
/// formula): whoever holds it excludes the reference and all other nodes.
pub fn migration_lock(database: &str) -> i64 {
    let crc = crc32(format!("auth\0schema_migrations\0{database}").as_bytes());
    i64::from(crc.wrapping_mul(1_486_364_155))
}

/// CRC-32 (IEEE), bit by bit: it runs once, over a few bytes.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_follows_the_published_formula() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let key = migration_lock("postgres");
        assert!((0..=i64::from(u32::MAX)).contains(&key));
        assert_ne!(key, migration_lock("postgres2"));
    }

    #[test]
    fn no_level_names_public_when_the_extensions_live_elsewhere() {
        let schemas = ExtensionSchemas { citext: "ext".to_owned(), pgcrypto: "\"E\"".to_owned() };
        for level in &LEVELS {
            let sql = level.sql(&schemas);
            let code: String = sql.lines().filter(|line| !line.starts_with("--")).collect();
            for name in ["public.", "schema public"] {
                assert!(!code.contains(name), "level {}", level.number);
            }
        }
    }
}
