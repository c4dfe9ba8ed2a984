//! One statement for many keys, and each key its own result: one bad row, or one that our types
//! cannot hold, fails nobody else.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;

/// What came of the keys of a batch; a key that is in neither list was not found.
#[derive(Debug)]
pub struct Outcome<K, T> {
    pub found: Vec<(K, T)>,
    pub failed: Vec<(K, Arc<sqlx::Error>)>,
}

impl<K, T> Default for Outcome<K, T> {
    fn default() -> Self {
        Self { found: Vec::new(), failed: Vec::new() }
    }
}

impl<K: Clone, T> Outcome<K, T> {
    /// The same failure for all of these.
    pub fn fail(&mut self, keys: &[K], error: sqlx::Error) {
        let error = Arc::new(error);
        self.failed.extend(keys.iter().map(|key| (key.clone(), Arc::clone(&error))));
    }
}

/// Runs the statement for all keys. If it fails because of a row, or panics, it runs for either half,
/// until each bad row is alone: of 256 keys with one bad one, 16 statements more.
///
/// A failure that is Postgres' own or the connection's is everybody's, at once.
pub async fn isolated<K, T, F>(
    keys: &[K],
    mut statement: impl FnMut(Vec<K>) -> F + Send,
) -> Outcome<K, T>
where
    K: Clone + Send + Sync,
    T: Send,
    F: Future<Output = sqlx::Result<Vec<(K, T)>>> + Send,
{
    let mut outcome = Outcome::default();
    let mut parts = vec![keys];
    while let Some(part) = parts.pop() {
        // A copy, so that the statement borrows nothing: small beside the texts that are made of it.
        let result = AssertUnwindSafe(statement(part.to_vec())).catch_unwind().await;
        match result.unwrap_or_else(|_panic| Err(panicked())) {
            Ok(mut found) => outcome.found.append(&mut found),
            Err(error) if part.len() > 1 && is_of_a_row(&error) => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            Err(error) => outcome.fail(part, error),
        }
    }
    if !outcome.failed.is_empty() {
        tracing::warn!(
            failed = outcome.failed.len(),
            of = keys.len(),
            error = &*outcome.failed[0].1 as &dyn std::error::Error,
            "part of a batch failed"
        );
    }
    outcome
}

fn panicked() -> sqlx::Error {
    sqlx::Error::Decode("the statement or the reading of its rows panicked".into())
}

/// Whether another row might fare better.
pub fn is_of_a_row(error: &sqlx::Error) -> bool {
    match error {
        // What is wrong with a value or forbidden by a rule of the database, a trigger's too.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            !matches!(
                code.get(..2),
                Some("08" | "25" | "40" | "42" | "53" | "55" | "57" | "58" | "XX")
            )
        }),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A statement that reads bytes and cannot read those above 99; 77 makes it panic.
    async fn read(keys: &[u8], calls: &mut usize) -> Outcome<u8, u8> {
        isolated(keys, |part: Vec<u8>| {
            *calls += 1;
            async move {
                assert!(!part.contains(&77), "as told");
                if part.iter().any(|key| *key > 99) {
                    return Err(sqlx::Error::Decode("too large".into()));
                }
                Ok(part.iter().map(|key| (*key, key / 2)).collect())
            }
        })
        .await
    }

    #[tokio::test]
    async fn a_bad_row_and_a_panic_fail_nobody_else() {
        let keys: Vec<u8> = (1..=64).chain([77, 200]).collect();
        let mut calls = 0;
        let outcome = read(&keys, &mut calls).await;
        let mut failed: Vec<u8> = outcome.failed.iter().map(|(key, _)| *key).collect();
        failed.sort_unstable();
        assert_eq!(failed, [77, 200]);
        let mut found: Vec<u8> = outcome.found.iter().map(|(key, _)| *key).collect();
        found.sort_unstable();
        assert_eq!(found, (1..=64).collect::<Vec<_>>());
        assert!(calls < 30, "{calls} calls for two bad rows");
    }

    #[tokio::test]
    async fn a_lost_connection_is_everybodys_at_once() {
        let mut calls = 0;
        let outcome: Outcome<u8, ()> = isolated(&[1, 2, 3], |_| {
            calls += 1;
            async { Err(sqlx::Error::PoolTimedOut) }
        })
        .await;
        assert_eq!((outcome.failed.len(), calls), (3, 1));
    }
}
