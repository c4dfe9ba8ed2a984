//! Parsers of foreign text under arbitrary input: what anybody may send must not panic, hang, or read
//! back as something else.
//!
//! A target is a file here and its line in [`TARGETS`]. `make fuzz` runs each with libFuzzer for a
//! while; the unit test below runs each over a fixed number of generated inputs. None of this is
//! compiled into the server.

mod claim_paths;
mod client_addresses;
mod connection_string;
mod env_file;
#[cfg(test)]
mod generated;
mod ids;
mod mail_headers;
mod passkey_bodies;
mod redirects;

/// One parser, or a few that read the same kind of text.
pub struct Target {
    /// The name of its file here.
    pub name: &'static str,
    /// Panics if something is wrong; the input itself may be anything.
    pub run: fn(&[u8]),
    /// Inputs to begin with: ordinary ones and some of each special form.
    pub seeds: &'static [&'static [u8]],
}

/// Every target.
pub static TARGETS: &[Target] = &[
    claim_paths::TARGET,
    client_addresses::TARGET,
    connection_string::TARGET,
    env_file::TARGET,
    ids::TARGET,
    mail_headers::TARGET,
    passkey_bodies::TARGET,
    redirects::TARGET,
];

/// The target of this name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::generated::Inputs;
    use super::*;

    const CASES: usize = 5_000;

    #[test]
    fn every_target_takes_its_seeds_and_generated_inputs() {
        for target in TARGETS {
            let seeds = target.seeds.iter().map(|seed| seed.to_vec());
            for input in seeds.chain(Inputs::new(target.seeds).take(CASES)) {
                let taken = catch_unwind(|| (target.run)(&input));
                let text = String::from_utf8_lossy(&input);
                assert!(taken.is_ok(), "{} fails for {text:?}, {input:?}", target.name);
            }
        }
    }

    #[test]
    fn names_are_distinct_and_found() {
        for target in TARGETS {
            let found = find(target.name).unwrap();
            assert!(std::ptr::eq(found, target), "{} twice", target.name);
            assert!(!target.seeds.is_empty(), "{}", target.name);
        }
        assert!(find("no such target").is_none());
    }
}
