//! Single-use tickets and codes: how they are mailed, and how a typed code is checked.

pub mod code_check;
pub mod ticket_mail;
