//! The targets of `src/fuzz/` for libFuzzer: `FUZZ_TARGET` names one, `FUZZ_SEEDS` the folder that
//! gets its seeds. Without a name it prints all names.

#![no_main]

use std::sync::OnceLock;
use std::{env, fs, process};

use keywright::fuzz::{TARGETS, Target, find};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<&Target> = OnceLock::new();

fn choose() {
    let name = env::var("FUZZ_TARGET").unwrap_or_default();
    let Some(target) = find(&name) else {
        for target in TARGETS {
            println!("{}", target.name);
        }
        process::exit(i32::from(!name.is_empty()));
    };
    if let Ok(folder) = env::var("FUZZ_SEEDS") {
        for (number, seed) in target.seeds.iter().enumerate() {
            let file = format!("{folder}/seed-{number}");
            fs::write(&file, seed).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
    }
    TARGET.set(target).unwrap_or_else(|_| panic!("chosen twice"));
}

fuzz_target!(init: choose(), |input: &[u8]| {
    (TARGET.get().expect("chosen at start").run)(input);
});
