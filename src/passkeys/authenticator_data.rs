//! What an authenticator says of itself and signs (WebAuthn 6.1).

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize as _;
use serde_cbor_2::Value;

use super::CeremonyError;
use crate::config::UserVerification;

/// Flags.
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;
const EXTENDED: u8 = 0x80;

/// Longest credential id.
const MAX_CREDENTIAL_ID: usize = 1_023;

/// Authenticator data, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AuthenticatorData<'a> {
    rp_id_hash: &'a [u8],
    flags: u8,
    pub(super) sign_count: u32,
    pub(super) attested: Option<Attested<'a>>,
}

/// A new key within authenticator data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attested<'a> {
    /// The model of the authenticator.
    pub(super) aaguid: [u8; 16],
    pub(super) credential_id: &'a [u8],
    /// COSE bytes to the letter, as the reference stores them.
    pub(super) public_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    /// Reads them, and nothing behind them.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, CeremonyError> {
        parse(bytes).ok_or(CeremonyError::AuthenticatorData("malformed"))
    }

    /// Checks what both ceremonies demand. Verification of the user is asked for where an
    /// authenticator can do it, and demanded only where that is configured.
    pub(super) fn check(
        &self,
        rp_id: &str,
        user_verification: UserVerification,
    ) -> Result<(), CeremonyError> {
        if self.rp_id_hash != digest(&SHA256, rp_id.as_bytes()).as_ref() {
            return Err(CeremonyError::AuthenticatorData("for another relying party"));
        }
        if self.flags & USER_PRESENT == 0 {
            return Err(CeremonyError::AuthenticatorData("nobody was present"));
        }
        if user_verification == UserVerification::Required && !self.user_verified() {
            return Err(CeremonyError::AuthenticatorData("the user was not verified"));
        }
        if self.backed_up() && !self.backup_eligible() {
            return Err(CeremonyError::AuthenticatorData("backed up, though it cannot be"));
        }
        Ok(())
    }

    /// Whether the authenticator knows who used it, by PIN or biometrics.
    pub(super) fn user_verified(&self) -> bool {
        self.flags & USER_VERIFIED != 0
    }

    pub(super) fn backup_eligible(&self) -> bool {
        self.flags & BACKUP_ELIGIBLE != 0
    }

    pub(super) fn backed_up(&self) -> bool {
        self.flags & BACKED_UP != 0
    }
}

fn parse(bytes: &[u8]) -> Option<AuthenticatorData<'_>> {
    let (rp_id_hash, rest) = bytes.split_at_checked(32)?;
    let (&flags, rest) = rest.split_first()?;
    let (&sign_count, mut rest) = rest.split_first_chunk()?;
    let mut attested = None;
    if flags & ATTESTED != 0 {
        let (key, behind) = parse_attested(rest)?;
        attested = Some(key);
        rest = behind;
    }
    if flags & EXTENDED != 0 {
        // None is asked for, so that what it says does not matter.
        rest = split_map(rest)?.1;
    }
    let sign_count = u32::from_be_bytes(sign_count);
    rest.is_empty().then_some(AuthenticatorData { rp_id_hash, flags, sign_count, attested })
}

fn parse_attested(bytes: &[u8]) -> Option<(Attested<'_>, &[u8])> {
    let (&aaguid, rest) = bytes.split_first_chunk()?;
    let (&length, rest) = rest.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(length));
    if length == 0 || length > MAX_CREDENTIAL_ID {
        return None;
    }
    let (credential_id, rest) = rest.split_at_checked(length)?;
    let (public_key, rest) = split_map(rest)?;
    Some((Attested { aaguid, credential_id, public_key }, rest))
}

/// The bytes of the map at the beginning, and those behind it.
fn split_map(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = serde_cbor_2::Deserializer::from_slice(bytes);
    let Value::Map(_) = Value::deserialize(&mut reader).ok()? else { return None };
    bytes.split_at_checked(reader.byte_offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RP: &str = "example.com";

    fn data(flags: u8, behind: &[u8]) -> Vec<u8> {
        let head = [digest(&SHA256, RP.as_bytes()).as_ref(), &[flags], &[0, 0, 1, 2]].concat();
        [&head, behind].concat()
    }

    #[test]
    fn data_with_and_without_a_key_and_extensions_are_read() {
        let plain = data(USER_PRESENT, &[]);
        let read = AuthenticatorData::parse(&plain).unwrap();
        read.check(RP, UserVerification::Preferred).unwrap();
        assert_eq!((read.sign_count, read.attested), (258, None));
        let key = [&[9; 16][..], &[0, 3], b"abc", &[0xa1, 1, 2]].concat();
        let extensions = [0xa1, 0x61, b'x', 0xf5];
        let full = data(USER_PRESENT | ATTESTED | EXTENDED, &[&key, &extensions[..]].concat());
        let attested = AuthenticatorData::parse(&full).unwrap().attested.unwrap();
        assert_eq!(
            attested,
            Attested { aaguid: [9; 16], credential_id: b"abc", public_key: &[0xa1, 1, 2] }
        );
        let extended = data(USER_PRESENT | EXTENDED, &extensions);
        assert!(AuthenticatorData::parse(&extended).unwrap().attested.is_none());
    }

    #[test]
    fn data_that_are_cut_or_go_on_are_refused() {
        let key = [&[9; 16][..], &[0, 3], b"abc", &[0xa1, 1, 2]].concat();
        let full = data(USER_PRESENT | ATTESTED, &key);
        for end in 0..full.len() {
            assert!(AuthenticatorData::parse(&full[..end]).is_err(), "{end} bytes");
        }
        let more = [&full[..], &[0]].concat();
        let no_map = data(USER_PRESENT | EXTENDED, &[1]);
        let no_id = data(USER_PRESENT | ATTESTED, &[&[0; 18][..], &[0xa0]].concat());
        let deep = data(USER_PRESENT | EXTENDED, &[0x81; 4_000]);
        for junk in [more, no_map, no_id, deep] {
            assert!(AuthenticatorData::parse(&junk).is_err());
        }
    }

    #[test]
    fn the_relying_party_presence_and_backup_flags_are_checked() {
        let verified = |flags: u8, rp: &str, asked| {
            AuthenticatorData::parse(&data(flags, &[])).and_then(|data| data.check(rp, asked))
        };
        let check = |flags: u8, rp: &str| verified(flags, rp, UserVerification::Preferred);
        check(USER_PRESENT | BACKUP_ELIGIBLE | BACKED_UP, RP).unwrap();
        check(USER_PRESENT | BACKUP_ELIGIBLE, RP).unwrap();
        check(USER_PRESENT, "example.org").unwrap_err();
        check(BACKUP_ELIGIBLE, RP).unwrap_err();
        check(USER_PRESENT | BACKED_UP, RP).unwrap_err();
        verified(USER_PRESENT | USER_VERIFIED, RP, UserVerification::Required).unwrap();
        verified(USER_PRESENT, RP, UserVerification::Required).unwrap_err();
    }
}
