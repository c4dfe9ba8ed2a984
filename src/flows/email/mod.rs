//! Everything that goes by mail: verification, links, codes, a change of address.

pub mod change_user_email;
pub mod register;
pub mod send_verification_email;
pub mod sign_in_by_mail;
pub mod undo_email_change;
pub mod verified_address;
pub mod verify_sign_in_otp_email;
pub mod verify_ticket;
