//! Two servers on one database, with one clock.

use std::sync::Arc;

use keywright::domain::clock::Clock;
use keywright::persistence::measured_pool::MeasuredPool;
use keywright::tokens::refresh_token::RefreshToken;

use super::app::{Client, Session, TestApp};
use super::postgres::TestDatabase;
use super::random::Random;

/// Two nodes that know nothing of each other.
pub(crate) struct TwoNodes {
    pub(crate) nodes: [TestApp; 2],
    pub(crate) clock: Clock,
    pub(crate) pool: MeasuredPool,
}

impl TwoNodes {
    pub(crate) async fn start(more: &[(&str, &str)]) -> Self {
        let database = Arc::new(TestDatabase::new().await);
        let clock = Clock::system();
        let (one, other) = tokio::join!(
            TestApp::start_at(Arc::clone(&database), clock.clone(), more),
            TestApp::start_at(Arc::clone(&database), clock.clone(), more),
        );
        let pool = database.pool().await;
        Self { nodes: [one, other], clock, pool }
    }

    /// Either node's client.
    pub(crate) fn any(&self, random: &mut Random) -> Client {
        random.pick(&self.nodes).client().clone()
    }

    /// Sessions of as many users.
    pub(crate) async fn sessions(&self, count: usize) -> Vec<Session> {
        let mut sessions = Vec::with_capacity(count);
        for number in 0..count {
            sessions.push(self.nodes[number % 2].anonymous().await);
        }
        sessions
    }
}

/// What the database holds of a token.
pub(crate) fn stored(token: &str) -> String {
    RefreshToken::parse(token).unwrap().hash().stored()
}
