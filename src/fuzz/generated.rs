//! Inputs for the short run in the unit tests: seeds cut, joined and changed at random places, the
//! same ones each time.

/// Pieces that parsers trip over: ends of ranges, delimiters, more than one byte a character.
const PIECES: &[&str] = &[
    "",
    "\0",
    "\u{7f}",
    "\r\n",
    "\t",
    " ",
    "\u{a0}",
    "\u{feff}",
    "é",
    "e\u{301}",
    "ß",
    "\u{202e}",
    "𝒳",
    "\u{10ffff}",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    ",",
    ";",
    ":",
    "::",
    "=",
    "==",
    "&",
    "%",
    "%00",
    "%2f",
    "%zz",
    "+",
    "-",
    "--",
    ".",
    "..",
    "/",
    "//",
    "?",
    "#",
    "@",
    "*",
    "**",
    "$",
    "$1",
    "0",
    "-0",
    "1e-20000",
    "1e999",
    "65536",
    "9007199254740993",
    "9223372036854775808",
    "99999999999999999999",
    "true",
    "null",
    "NaN",
    "localhost",
    "127.0.0.1",
    "[::1]",
    "xn--",
    "AAAA",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// Endless; one sequence for one list of seeds.
pub(super) struct Inputs {
    seeds: &'static [&'static [u8]],
    state: u64,
}

impl Inputs {
    pub(super) fn new(seeds: &'static [&'static [u8]]) -> Self {
        Self { seeds, state: 0x6b65_7977 }
    }

    /// Below `end`, which is not 0 (`SplitMix64`).
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let end = u64::try_from(end).expect("no platform has wider addresses");
        usize::try_from((mixed ^ (mixed >> 31)) % end).expect("below a usize")
    }

    fn seed(&mut self) -> &'static [u8] {
        let chosen = self.below(self.seeds.len());
        self.seeds[chosen]
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(7) {
            0 => input.truncate(at),
            1 if at < input.len() => input[at] ^= 1 << self.below(8),
            2 if at < input.len() => drop(input.remove(at)),
            3 => {
                let seed = self.seed();
                let from = self.below(seed.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&seed[from..]);
            }
            4 => {
                let end = (at + self.below(16)).min(input.len());
                let copied = input[at..end].to_vec();
                input.splice(at..at, copied);
            }
            5 => {
                let random = u8::try_from(self.below(256)).expect("a byte");
                input.insert(at, random);
            }
            _ => {
                let piece = PIECES[self.below(PIECES.len())];
                input.splice(at..at, piece.bytes());
            }
        }
    }
}

impl Iterator for Inputs {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut input = self.seed().to_vec();
        for _ in 0..=self.below(6) {
            self.change(&mut input);
        }
        Some(input)
    }
}
