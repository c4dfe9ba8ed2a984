//! Keys that are read, and keys that are not.

use super::*;

/// ES256, ES384 and ES512 keys of the test vectors of webauthn-rs-core.
const P256: (&str, &str) = (
    "65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d",
    "1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c",
);
const P384: (&str, &str) = (
    "ceeaf818731db7af2d02e029854823d71bdbf65fb0c6ff6942c9cf891efe18ea81430517d777f5c43550da801be5bf2f",
    "dda1d0ead72e042efb7c36a38cc021abb2ca1a2e38159edda8c25f391e9a38d79dd56b9427d1c7c70cfa778ab849b087",
);
const P521: (&str, &str) = (
    "0106cfaacf34b13f24bbb2f806fd9cfacff9a2a5ef9ecfcd85664609a0b2f6d4fdb8e1d58630905f13f38d8eed8714eceb716920a3a235581623261fed961f7b7d72",
    "0089597a052a8d3c8b2b5692d467dea19f8e1b9ca17fa563a1a826855dade04811b2881819e72f1706daeaf7d3773b2e284983a0eec33c2fe3ff5697722e95b29536",
);
const ED25519_X: &str = "43565027f918beb00257d112b903d15b93f5cbc7562dfc8458fbefd714546e3c";

type Map = BTreeMap<Value, Value>;

fn hex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn map<const N: usize>(members: [(i128, Value); N]) -> Map {
    members.into_iter().map(|(label, value)| (Value::Integer(label), value)).collect()
}

fn valid(algorithm: COSEAlgorithm) -> Map {
    let number = |number: i128| Value::Integer(number);
    let point = |curve: i128, (x, y): (&str, &str)| {
        map([
            (1, number(2)),
            (3, number(algorithm as i128)),
            (-1, number(curve)),
            (-2, Value::Bytes(hex(x))),
            (-3, Value::Bytes(hex(y))),
        ])
    };
    match algorithm {
        COSEAlgorithm::ES256 => point(1, P256),
        COSEAlgorithm::ES384 => point(2, P384),
        COSEAlgorithm::ES521 => point(3, P521),
        COSEAlgorithm::EDDSA => map([
            (1, number(1)),
            (3, number(-8)),
            (-1, number(6)),
            (-2, Value::Bytes(hex(ED25519_X))),
        ]),
        _ => map([
            (1, number(3)),
            (3, number(algorithm as i128)),
            (-1, Value::Bytes(vec![0xc5; 256])),
            (-2, Value::Bytes(vec![1, 0, 1])),
        ]),
    }
}

fn encoded(members: &Map) -> Vec<u8> {
    serde_cbor_2::to_vec(&Value::Map(members.clone())).unwrap()
}

fn is_read(members: &Map) -> bool {
    CoseKey::parse(&encoded(members)).is_ok()
}

fn with(algorithm: COSEAlgorithm, label: i128, value: Value) -> Map {
    let mut members = valid(algorithm);
    members.insert(Value::Integer(label), value);
    members
}

#[test]
fn a_key_of_every_algorithm_is_read_and_the_numbers_are_those_of_the_contract() {
    let numbers: Vec<i32> = ALGORITHMS.iter().map(|algorithm| *algorithm as i32).collect();
    assert_eq!(numbers, [-7, -35, -36, -257, -258, -259, -37, -38, -39, -8]);
    for algorithm in ALGORITHMS {
        let key = CoseKey::parse(&encoded(&valid(algorithm))).unwrap();
        assert_eq!(key.algorithm, algorithm);
        assert!(key.verify(b"signed", b"junk").is_err());
        assert!(key.verify(b"", b"").is_err());
    }
    assert_eq!(encoded(&valid(COSEAlgorithm::ES256)).len(), 77, "as the reference stores it");
}

#[test]
fn weak_keys_are_read_and_not_registered() {
    let is_new = |members: &Map| CoseKey::parse_new(&encoded(members)).is_ok();
    for algorithm in ALGORITHMS {
        assert!(is_new(&valid(algorithm)), "{algorithm:?}");
    }
    let of_exponent = |bytes: &[u8]| with(COSEAlgorithm::RS256, -2, Value::Bytes(bytes.to_vec()));
    for small in [&[3][..], &[17], &[1, 1], &[255, 255]] {
        assert!(is_read(&of_exponent(small)) && !is_new(&of_exponent(small)), "{small:?}");
    }
    assert!(is_new(&of_exponent(&[1, 0, 3])));
    for point in SMALL_ORDER {
        for sign in [0, 0x80] {
            let mut x = hex(point);
            x[31] |= sign;
            assert!(!is_new(&with(COSEAlgorithm::EDDSA, -2, Value::Bytes(x))), "{point} {sign}");
        }
    }
}

#[test]
fn type_curve_and_algorithm_have_to_belong_together() {
    for algorithm in ALGORITHMS {
        for label in [1, 3, -1, -2] {
            let mut members = valid(algorithm);
            members.remove(&Value::Integer(label));
            assert!(!is_read(&members), "{algorithm:?} without {label}");
            for value in [Value::Null, Value::Text("OKP".to_owned()), Value::Float(-7.0)] {
                let members = with(algorithm, label, value.clone());
                assert!(!is_read(&members), "{algorithm:?}: {label} is {value:?}");
            }
        }
        for kind in
            (-1..6).filter(|kind| valid(algorithm)[&Value::Integer(1)] != Value::Integer(*kind))
        {
            assert!(!is_read(&with(algorithm, 1, Value::Integer(kind))), "{algorithm:?}: {kind}");
        }
        let is_rsa = |algorithm| valid(algorithm)[&Value::Integer(1)] == Value::Integer(RSA);
        for other in ALGORITHMS {
            let members = with(algorithm, 3, Value::Integer(other as i128));
            let belongs = other == algorithm || (is_rsa(other) && is_rsa(algorithm));
            assert_eq!(is_read(&members), belongs, "{algorithm:?} as {other:?}");
        }
        // Unknown, with SHA-1, on secp256k1, with Ed448, and out of range.
        for number in [0, 7, -6, -25, -47, -53, -65_535, i128::from(i64::MIN), i128::from(u64::MAX)]
        {
            assert!(!is_read(&with(algorithm, 3, Value::Integer(number))), "{number}");
        }
        if !is_rsa(algorithm) {
            for curve in
                (-1..9).filter(|c| valid(algorithm)[&Value::Integer(-1)] != Value::Integer(*c))
            {
                assert!(!is_read(&with(algorithm, -1, Value::Integer(curve))), "{curve}");
            }
        }
    }
}

#[test]
fn points_have_the_size_of_their_curve_and_lie_on_it() {
    for algorithm in [COSEAlgorithm::ES256, COSEAlgorithm::ES384, COSEAlgorithm::ES521] {
        for label in [-2, -3] {
            let Value::Bytes(right) = &valid(algorithm)[&Value::Integer(label)] else { panic!() };
            let mut off = right.clone();
            *off.last_mut().unwrap() ^= 1;
            let padded = [&[0], &right[..]].concat();
            for wrong in [off, padded, right[1..].to_vec(), vec![], vec![0; right.len()]] {
                assert!(!is_read(&with(algorithm, label, Value::Bytes(wrong))), "{algorithm:?}");
            }
        }
        // The compressed form, which WebAuthn does not allow.
        assert!(!is_read(&with(algorithm, -3, Value::Bool(true))));
        let size = hex(P521.0).len();
        let mut infinity = with(algorithm, -2, Value::Bytes(vec![0; size]));
        infinity.insert(Value::Integer(-3), Value::Bytes(vec![0; size]));
        assert!(!is_read(&infinity));
    }
    for size in [0, 31, 33, 57] {
        assert!(!is_read(&with(COSEAlgorithm::EDDSA, -2, Value::Bytes(vec![1; size]))));
    }
}

#[test]
fn rsa_numbers_are_bounded_odd_and_without_leading_zeros() {
    let modulus = |size: usize| Value::Bytes(vec![0xc5; size]);
    for size in [256, 384, 512, 1_024] {
        assert!(is_read(&with(COSEAlgorithm::PS256, -1, modulus(size))), "{size}");
    }
    for size in [0, 1, 128, 255, 1_025, 2_048] {
        assert!(!is_read(&with(COSEAlgorithm::PS256, -1, modulus(size))), "{size}");
    }
    let padded = [&[0], &[0xc5; 256][..]].concat();
    let even = [&[0xc5; 255][..], &[0xc4]].concat();
    for n in [padded, even, vec![0; 256]] {
        assert!(!is_read(&with(COSEAlgorithm::RS256, -1, Value::Bytes(n))));
    }
    assert!(is_read(&with(COSEAlgorithm::RS256, -2, Value::Bytes(vec![3]))));
    for e in [&[][..], &[0], &[1], &[0, 1, 0, 1], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        assert!(!is_read(&with(COSEAlgorithm::RS256, -2, Value::Bytes(e.to_vec()))), "{e:?}");
    }
    // 2041 bits fill 256 bytes too, and no signature by such a key counts.
    let mut short = vec![0xc5; 256];
    short[0] = 1;
    let key = CoseKey::parse(&encoded(&with(COSEAlgorithm::RS256, -1, Value::Bytes(short))));
    assert!(key.unwrap().verify(b"signed", &[1; 256]).is_err());
}

#[test]
fn a_key_can_be_read_in_one_way_only() {
    let right = encoded(&valid(COSEAlgorithm::EDDSA));
    let point = [&[0x21, 0x58, 32][..], &hex(ED25519_X)].concat();
    assert_eq!(right, [&[0xa4, 1, 1, 3, 0x27, 0x20, 6][..], &point].concat());
    let reads = |bytes: &[&[u8]]| CoseKey::parse(&bytes.concat()).is_ok();
    assert!(reads(&[&[0xa4], &point, &[0x20, 6, 3, 0x27, 1, 1]]), "the order is free");
    assert!(reads(&[&[0xa5, 1, 1, 2, 0x41, 9, 3, 0x27, 0x20, 6], &point]), "with a key id");
    assert!(!reads(&[&[0xa5, 1, 1, 1, 1, 3, 0x27, 0x20, 6], &point]), "a label twice");
    assert!(!reads(&[&[0xa5, 1, 2, 1, 1, 3, 0x27, 0x20, 6], &point]), "a label twice");
    assert!(!reads(&[&[0xbf, 1, 1, 3, 0x27, 0x20, 6], &point, &[0xff]]), "without a length");
    assert!(!reads(&[&[0xa4, 0x18, 1, 1, 3, 0x27, 0x20, 6], &point]), "a long number");
    assert!(!reads(&[&right, &[0]]), "with something behind");
    assert!(!reads(&[&[0xc1], &right]), "with a tag");
    for end in 0..right.len() {
        assert!(CoseKey::parse(&right[..end]).is_err(), "{end} bytes");
    }
}

#[test]
fn junk_is_no_key() {
    for junk in [
        &[][..],
        b"junk",
        &[0xff; 64],
        &[0x81; 1_000],
        &[0xa1; 1_000],
        &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0; 10_000],
    ] {
        assert!(CoseKey::parse(junk).is_err());
    }
}

#[test]
fn a_changed_byte_never_leads_astray() {
    for algorithm in [COSEAlgorithm::ES256, COSEAlgorithm::EDDSA, COSEAlgorithm::PS512] {
        let right = encoded(&valid(algorithm));
        for at in 0..right.len() {
            for flipped in 1..=u8::MAX {
                let mut bytes = right.clone();
                bytes[at] ^= flipped;
                if let Ok(key) = CoseKey::parse(&bytes) {
                    assert!(key.verify(b"signed", &[1; 64]).is_err(), "{algorithm:?}: {at}");
                }
            }
        }
    }
}
