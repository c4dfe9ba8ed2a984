//! Env files: whatever stands there, nothing panics, and values are read as they stand.
//!
//! `cargo +nightly fuzz run env_file`

#![no_main]

use keywright::config::env_file_fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| env_file_fuzz::run(data));
