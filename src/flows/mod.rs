//! What each operation means: its checks in order, without SQL and without HTTP.

pub mod attempts;
pub mod bearer;
pub mod change_mfa;
pub mod create_pat;
pub mod custom_claims;
pub mod generate_totp;
pub mod get_user;
pub mod mail;
pub mod passwords;
pub mod refresh;
pub mod send_verification_email;
pub mod session;
pub mod sign_in_anonymous;
pub mod sign_in_email_password;
pub mod sign_in_mfa_totp;
pub mod sign_in_pat;
pub mod sign_out;
pub mod sign_up_email_password;
pub mod totp;
pub mod verify_ticket;
pub mod verify_token;
