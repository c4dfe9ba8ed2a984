//! A user as such: profile, options, access control, anonymous users.

mod access_control;
mod anonymous;
mod deanonymize;
mod metadata;
mod names;
mod options;
mod pre_hijacking;
mod user;
