//! Single-use tickets and codes: how they are mailed, and how a typed code is checked; security
//! notices.

pub mod code_check;
pub mod delivery;
pub mod notices;
pub mod ticket_mail;
