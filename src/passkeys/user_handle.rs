//! User handles: what authenticators remember of a user's id.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::domain::ids::UserId;

/// Whether a handle, decoded from base64url, stands for this user.
///
/// Creation options carry the UUID as text. Clients that take it for base64url give authenticators
/// 27 bytes, those that encode the text give 36, others the UUID itself
/// (docs/reference-behaviour.md#user-handles).
pub fn stands_for(handle: &[u8], user: UserId) -> bool {
    match handle.len() {
        16 => handle == user.0.as_bytes(),
        36 => Uuid::try_parse_ascii(handle).is_ok_and(|id| id == user.0),
        27 => URL_SAFE_NO_PAD.encode(handle) == user.0.hyphenated().to_string(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_handle_stands_for_its_user_and_for_no_other() {
        let user = UserId(Uuid::from_u128(0x782f_e3ee_b3e3_45fb_9f38_5328_7c42_94ff));
        let other = UserId(Uuid::from_u128(1));
        let text = user.0.to_string();
        for handle in [
            URL_SAFE_NO_PAD.decode(&text).unwrap(),
            text.clone().into_bytes(),
            user.0.as_bytes().to_vec(),
        ] {
            assert!(stands_for(&handle, user), "{} bytes", handle.len());
            assert!(!stands_for(&handle, other), "{} bytes", handle.len());
            assert!(!stands_for(&handle[1..], user));
        }
        assert!(!stands_for(b"", user));
    }
}
