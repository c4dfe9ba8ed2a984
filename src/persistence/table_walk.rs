//! Going through a large table by the places of its rows, because no index leads to what is sought.
//!
//! A range of places is read as such from Postgres 14 on. Earlier versions read the whole table for
//! each range, so there is one range only.

use std::fmt;
use std::str::FromStr;

use sqlx::PgExecutor;
use uuid::Uuid;

/// Where a version of a row is: `ctid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub page: u32,
    /// Counted from one.
    pub line: u16,
}

impl Place {
    /// Before the first row.
    pub const START: Self = Self::page(0);

    /// Before the first row of a page.
    pub const fn page(page: u32) -> Self {
        Self { page, line: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.page, self.line)
    }
}

impl FromStr for Place {
    type Err = sqlx::Error;

    fn from_str(text: &str) -> sqlx::Result<Self> {
        let parse = || {
            let (page, line) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
            Some(Self { page: page.parse().ok()?, line: line.parse().ok()? })
        };
        parse().ok_or_else(|| sqlx::Error::Decode("a ctid in another form".into()))
    }
}

/// The rows behind `after` and before `before`.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub after: Place,
    pub before: Place,
    /// As many rows as are wanted.
    pub limit: i64,
}

/// A row that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub place: Place,
    pub id: Uuid,
}

impl Found {
    /// From what a statement returns.
    pub(super) fn new(place: &str, id: Uuid) -> sqlx::Result<Self> {
        Ok(Self { place: place.parse()?, id })
    }
}

/// How large a table is.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub pages: u32,
    /// Whether Postgres reads a range of places without the rest.
    pub has_ranges: bool,
}

/// How large this table is at this moment; of a table that is not there: empty.
pub async fn extent(db: impl PgExecutor<'_>, table: &str) -> sqlx::Result<Extent> {
    let row = sqlx::query!(
        r#"
        select coalesce(pg_relation_size(to_regclass($1)), 0)
                   / current_setting('block_size')::bigint as "pages!",
               current_setting('server_version_num')::int >= 140000 as "has_ranges!"
        "#,
        table,
    )
    .fetch_one(db)
    .await?;
    let pages = u32::try_from(row.pages).unwrap_or(u32::MAX);
    Ok(Extent { pages, has_ranges: row.has_ranges })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_postgres_writes_them() {
        let place = Place { page: u32::MAX, line: 291 };
        assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        assert!(Place::page(7) < Place { page: 7, line: 1 });
        for text in ["", "(1)", "(1,2", "(-1,2)", "(1,65536)"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
