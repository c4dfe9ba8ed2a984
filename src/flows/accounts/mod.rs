//! A user as such: anonymous sign-in, registration of an anonymous user, reading the profile.

pub mod deanonymize_user;
pub mod get_user;
pub mod sign_in_anonymous;
