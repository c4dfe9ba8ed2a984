//! Mail: transports, the outbox, links, codes, a change of address.

mod client_url;
mod courier;
mod delivery;
mod email_change;
mod link_codes;
mod link_confirmation;
mod notices;
mod passwordless_email;
mod postmark;
mod smtp;
mod undo;
mod verification_mail;
