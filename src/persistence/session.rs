//! What is set on a connection once it is there.
//!
//! Most poolers refuse or ignore parameters of the start-up message, and a role or a database may
//! have settings of its own that would change how values are written.

use sqlx::PgConnection;

/// Settings of a session, in the order in which they are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionSettings {
    names: Vec<String>,
    values: Vec<String>,
}

/// Ours, by which values are read; whatever the role, the database or the connection string say.
const FIXED: [(&str, &str); 4] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("TimeZone", "UTC"),
    // All digits of a float, also in JSON.
    ("extra_float_digits", "2"),
];

/// Postgres does not take a setting of the connection string.
#[derive(Debug, thiserror::Error)]
#[error("Postgres refuses the session setting {name} of the connection string (code {code})")]
pub struct RefusedSetting {
    /// Unless it could be a part of something else, a password with a blank in it.
    name: String,
    code: String,
}

impl SessionSettings {
    /// Those of a connection string.
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        let (names, values) = pairs.into_iter().unzip();
        Self { names, values }
    }

    /// Names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().map(String::as_str).zip(self.values.iter().map(String::as_str))
    }

    /// Makes them and after them `more`, in one statement: Postgres may be far away.
    pub async fn apply(
        &self,
        connection: &mut PgConnection,
        more: &[(&str, String)],
    ) -> sqlx::Result<()> {
        let mut all = self.clone();
        for (name, value) in FIXED {
            all.push(name, value.to_owned());
        }
        for (name, value) in more {
            all.push(name, value.clone());
        }
        match all.make(connection).await {
            Err(error) if error.as_database_error().is_some() => {
                Err(self.refused(connection).await.unwrap_or(error))
            }
            result => result,
        }
    }

    fn push(&mut self, name: &str, value: String) {
        self.names.push(name.to_owned());
        self.values.push(value);
    }

    async fn make(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query_scalar!(
            r#"
            select count(set_config(setting.name, setting.value, false)) as "count!"
            from unnest($1::text[], $2::text[]) as setting (name, value)
            -- Of 14 and later; where the server's operating system cannot tell, it refuses this one.
            where name <> 'client_connection_check_interval'
               or current_setting('server_version_num')::int >= 140000 and version() like '%linux%'
            "#,
            &self.names,
            &self.values
        )
        .fetch_one(connection)
        .await?;
        Ok(())
    }

    /// Which of them it is that Postgres does not take. Its own text would repeat the value.
    async fn refused(&self, connection: &mut PgConnection) -> Option<sqlx::Error> {
        for (name, value) in self.pairs() {
            let one = Self::new(vec![(name.to_owned(), value.to_owned())]);
            let Err(error) = one.make(connection).await else { continue };
            let error = error.as_database_error()?;
            let is_plain = name.chars().all(|c| c == '_' || c == '.' || c.is_ascii_lowercase());
            return Some(sqlx::Error::Configuration(Box::new(RefusedSetting {
                name: if is_plain { name.to_owned() } else { String::new() },
                code: error.code().unwrap_or_default().into_owned(),
            })));
        }
        None
    }
}
