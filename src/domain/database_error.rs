//! What an error of Postgres means for the request that met it.
//!
//! A code alone says little: triggers of an application raise what they like, and what they call has
//! errors of its own. So it also counts where an error comes from.

use sqlx::postgres::PgDatabaseError;

/// Longest message of a function that clients are told.
const MAX_RAISED: usize = 300;

/// What an error of Postgres means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Postgres is away or too busy: the same request may succeed a little later.
    Outage,
    /// A value of the request is none for its column or for the encoding of the database.
    Value,
    /// A function of the application refuses the request, in these words for the user.
    Raised(String),
    /// Anything else: nothing that the client could do better.
    Fault,
}

impl Meaning {
    /// Of this error.
    pub fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
                Self::Outage
            }
            sqlx::Error::Database(_) => postgres(error).map_or(Self::Fault, Self::of_postgres),
            _ => Self::Fault,
        }
    }

    fn of_postgres(error: &PgDatabaseError) -> Self {
        let code = error.code();
        let is_from_function = is_from_function(error);
        if code == "P0001" {
            return Self::Raised(for_clients(error.message()));
        }
        // `raise` with a code: whatever the function means by that, it is not what Postgres means.
        if error.routine() == Some("exec_stmt_raise") {
            return Self::Fault;
        }
        match code {
            // Read-only; a deadlock, a conflict of transactions, a lock that was not to be had in time.
            "25006" | "40001" | "40P01" | "55P03" => Self::Outage,
            // A database that an operator has closed to connections, or something in a function.
            "55000" if !is_from_function => Self::Outage,
            _ if matches!(code.get(..2), Some("08" | "53" | "57")) => Self::Outage,
            _ if !is_from_function && is_about_value(code) => Self::Value,
            _ => Self::Fault,
        }
    }
}

/// The error as Postgres sent it.
pub fn postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// Whether it arose in a function of the database, such as a trigger, not in our own statement. The
/// context says so in the language of the server; the names of languages are the same in all.
pub fn is_from_function(error: &PgDatabaseError) -> bool {
    error.r#where().is_some_and(|context| context.contains("PL/") || context.contains("plv8"))
}

/// Values that Postgres refuses as such: too long, too large, no JSON, not in the encoding of the
/// database, nested too deep. Other errors of class 22, like a division by zero, are in a statement.
fn is_about_value(code: &str) -> bool {
    matches!(
        code,
        "22001"
            | "22003"
            | "22007"
            | "22008"
            | "22021"
            | "22026"
            | "22030"
            | "22032"
            | "22P02"
            | "22P03"
            | "22P05"
            | "2202E"
            | "54000"
            | "54001"
    )
}

/// One line, not too long.
fn for_clients(message: &str) -> String {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    message.chars().take(MAX_RAISED).map(line).collect()
}

/// Where an error comes from and what it is, for the log: never a value of the request.
#[derive(Debug, Default)]
pub struct Origin<'a> {
    /// `None` if the message may repeat a value.
    pub message: Option<&'a str>,
    pub code: Option<&'a str>,
    pub schema: Option<&'a str>,
    pub table: Option<&'a str>,
    pub column: Option<&'a str>,
    pub constraint: Option<&'a str>,
    /// Where in which functions.
    pub context: Option<&'a str>,
}

impl<'a> Origin<'a> {
    /// Of this error; empty if Postgres did not send it.
    pub fn of(error: &'a sqlx::Error) -> Self {
        let Some(error) = postgres(error) else { return Self::default() };
        let code = error.code();
        Self {
            // Messages of this class quote what was refused.
            message: (!code.starts_with("22")).then(|| error.message()),
            code: Some(code),
            schema: error.schema(),
            table: error.table(),
            column: error.column(),
            constraint: error.constraint(),
            context: error.r#where().filter(|_| is_from_function(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_one_bounded_line() {
        assert_eq!(for_clients("only\nus\u{7}"), "only us ");
        assert_eq!(for_clients(&"é".repeat(1_000)).chars().count(), MAX_RAISED);
    }
}
