//! Metrics of mail and SMS.

use std::sync::atomic::AtomicUsize;

use super::{Counter, Histogram};

/// Of the courier.
#[derive(Debug)]
pub struct MailStats {
    /// Accepted by the mail server.
    pub sent: Counter,
    /// Failed in a way that may pass; tried again soon.
    pub failed: Counter,
    /// Refused for good by the mail server; tried again, but not pressed.
    pub refused: Counter,
    /// Never delivered: their time was over.
    pub expired: Counter,
    /// Delivery tasks that run now.
    pub in_flight: AtomicUsize,
    /// How long the mail server took, whatever it said.
    pub seconds: Histogram,
}

impl Default for MailStats {
    fn default() -> Self {
        Self {
            sent: Counter::default(),
            failed: Counter::default(),
            refused: Counter::default(),
            expired: Counter::default(),
            in_flight: AtomicUsize::new(0),
            seconds: Histogram::times(),
        }
    }
}

/// Of the providers of SMS.
#[derive(Debug, Default)]
pub struct SmsStats {
    pub sent: Counter,
    pub failed: Counter,
}
