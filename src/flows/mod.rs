//! What each operation means: its checks in order, without SQL and without HTTP.

pub mod attempts;
pub mod bearer;
pub mod get_user;
pub mod mail;
pub mod passwords;
pub mod refresh;
pub mod send_verification_email;
pub mod session;
pub mod sign_in_anonymous;
pub mod sign_in_email_password;
pub mod sign_out;
pub mod sign_up_email_password;
pub mod verify_ticket;
pub mod verify_token;
