//! Keys of nobody, asked for where an address has none and that must not show.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::app::App;
use crate::domain::email::EmailAddress;

/// Lengths of credential ids as platforms and security keys make them.
const LENGTHS: [usize; 8] = [16, 16, 20, 20, 32, 32, 48, 64];

/// Credential ids for an address: always the same ones, on all nodes, as long as the key that seals
/// secrets is the same.
pub(super) fn credential_ids(app: &App, email: &EmailAddress) -> Vec<String> {
    // Addresses are the same in any case.
    let email = email.as_str().to_lowercase();
    let mac = |what: &str| {
        let context = format!("passkeys of nobody: {what}:");
        app.secrets.sealer.hash_code(context.as_bytes(), &email)
    };
    let dice = mac("how many");
    // Most people have one key; some have one at home and one at work.
    let number = if dice[0] < 0xd0 { 1 } else { 2 };
    (1..=number)
        .map(|at| {
            let length = LENGTHS[usize::from(dice[at]) % LENGTHS.len()];
            let bytes = [mac(&format!("{at}, first half")), mac(&format!("{at}, second half"))];
            URL_SAFE_NO_PAD.encode(&bytes.concat()[..length])
        })
        .collect()
}
