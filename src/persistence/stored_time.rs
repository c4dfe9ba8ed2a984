//! Times of tables that others write too.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Postgres, Type};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// A `timestamptz` as the nearest time that there is here: Postgres also has `infinity`, years before
/// ours and years of six digits, at which the usual conversion panics and RFC 3339 ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredTime(pub OffsetDateTime);

const EARLIEST: OffsetDateTime = datetime!(0001-01-01 00:00 UTC);
const LATEST: OffsetDateTime = datetime!(9999-12-31 23:59:59.999999 UTC);
/// From which Postgres counts microseconds.
const EPOCH: OffsetDateTime = datetime!(2000-01-01 00:00 UTC);

impl StoredTime {
    fn from_micros(micros: i64) -> Self {
        let time = EPOCH.saturating_add(Duration::microseconds(micros));
        Self(time.clamp(EARLIEST, LATEST))
    }
}

impl Type<Postgres> for StoredTime {
    fn type_info() -> PgTypeInfo {
        <OffsetDateTime as Type<Postgres>>::type_info()
    }

    fn compatible(other: &PgTypeInfo) -> bool {
        <OffsetDateTime as Type<Postgres>>::compatible(other)
    }
}

impl<'r> Decode<'r, Postgres> for StoredTime {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => {
                <i64 as Decode<Postgres>>::decode(value).map(Self::from_micros)
            }
            PgValueFormat::Text => <OffsetDateTime as Decode<Postgres>>::decode(value).map(Self),
        }
    }
}

impl From<StoredTime> for OffsetDateTime {
    fn from(time: StoredTime) -> Self {
        time.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_do_not_exist_here_are_the_nearest_that_do() {
        for (micros, time) in [
            (0, EPOCH),
            (-1, datetime!(1999-12-31 23:59:59.999999 UTC)),
            (i64::MAX, LATEST),
            (i64::MIN, EARLIEST),
            (252_455_616_000_000_000, LATEST),
            (-211_813_488_000_000_000, EARLIEST),
        ] {
            assert_eq!(StoredTime::from_micros(micros).0, time, "{micros}");
        }
    }
}
