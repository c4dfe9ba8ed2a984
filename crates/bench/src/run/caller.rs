//! A connection with what it sends.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::tally::Tally;
use crate::calls::Call;
use crate::client::{Client, Outcome};

/// Refusals in a row after which a connection is given up.
const MAX_REFUSALS: u32 = 10;

/// One connection.
pub(super) struct Caller {
    /// One for each node of the server; the first is whose turn it is.
    pub(super) clients: VecDeque<Client>,
    /// One for each kind of operation.
    pub(super) calls: Vec<Call>,
    /// Refusals in a row.
    pub(super) refusals: u32,
    /// Lost or given up; not used any more.
    pub(super) over: bool,
}

/// What the connections of one thread share for one turn.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) tally: Arc<Mutex<Tally>>,
    /// The end of the turn.
    pub(super) until: Instant,
    pub(super) stop: Arc<AtomicBool>,
    /// Good responses of all threads, for the progress bar.
    pub(super) done: Arc<AtomicU64>,
}

impl Caller {
    /// Sends a request of this kind to the node whose turn it is.
    pub(super) async fn perform(&mut self, operation: usize) -> Outcome {
        let outcome = self.calls[operation].perform(&mut self.clients[0]).await;
        self.clients.rotate_left(1);
        outcome
    }

    /// Whether the connection is to be given up after this outcome; then it is over.
    ///
    /// An overloaded server may recover; a plain no will stay a no.
    pub(super) fn is_given_up(&mut self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Ok => self.refusals = 0,
            Outcome::Refused(status, _) if !status.is_server_error() && status.as_u16() != 429 => {
                self.refusals += 1;
                self.over |= self.refusals >= MAX_REFUSALS;
                return self.refusals >= MAX_REFUSALS;
            }
            Outcome::Nothing => self.over = true,
            _ => {}
        }
        false
    }
}
