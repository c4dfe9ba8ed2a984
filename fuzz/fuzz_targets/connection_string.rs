//! Connection strings: whatever stands there, nothing panics and no message shows any of it.
//!
//! `cargo +nightly fuzz run connection_string`

#![no_main]

use keywright::persistence::connection_string::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzz::run(data));
