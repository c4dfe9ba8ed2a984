//! Codes through SMS.

mod passwordless_sms;
