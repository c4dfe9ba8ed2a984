//! Sign-up, sign-in, change and reset by password.

pub mod change_user_password;
pub mod rules;
pub mod send_password_reset_email;
pub mod sign_in_email_password;
pub mod sign_up_email_password;
