//! Access tokens and their keys, the refresh-token chain, and tickets.

//AT
pub mod chain;
//KM
//K
pub mod refresh_token;
pub mod ticket;
//V
