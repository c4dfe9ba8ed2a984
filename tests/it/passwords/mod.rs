//! Sign-up, sign-in, change, reset and stored forms of passwords.

mod fair_queue;
mod password_change;
mod password_leaks;
mod sign_in;
mod sign_up;
mod storage_forms;
mod timing;
