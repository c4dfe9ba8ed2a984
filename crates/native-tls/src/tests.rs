//! What a verifier makes of the certificates that people have.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::{Checks, TlsError, Trust, Verifier};

struct Made {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
    der: Vec<u8>,
}

fn params(host: &str, is_authority: bool) -> CertificateParams {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    if is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

fn signs_itself(params: CertificateParams) -> Made {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Made { pem: certificate.pem(), der: certificate.der().to_vec(), params, key }
}

fn check(trusted: &str, checks: Checks, shown: &[u8], host: &str) -> Result<(), TlsError> {
    let trust = Trust::from_pem(trusted.as_bytes()).unwrap();
    Verifier::new(trust, checks).check(&[shown.to_vec()], host)
}

#[test]
fn a_certificate_that_is_trusted_itself_is_good_whether_or_not_it_is_an_authority() {
    for is_authority in [false, true] {
        let own = signs_itself(params("db.example", is_authority));
        let other = signs_itself(params("db.example", is_authority));
        for checks in [Checks::Chain, Checks::ChainAndName] {
            check(&own.pem, checks, &own.der, "db.example").unwrap();
            assert!(check(&other.pem, checks, &own.der, "db.example").is_err());
        }
        assert!(check(&own.pem, Checks::ChainAndName, &own.der, "elsewhere.example").is_err());
        check(&own.pem, Checks::Chain, &own.der, "elsewhere.example").unwrap();
    }
}

#[test]
fn being_trusted_does_not_make_an_old_certificate_good() {
    for is_authority in [false, true] {
        let mut old = params("db.example", is_authority);
        old.not_before = date_time_ymd(2000, 1, 1);
        old.not_after = date_time_ymd(2001, 1, 1);
        let mut young = params("db.example", is_authority);
        young.not_before = date_time_ymd(4000, 1, 1);
        young.not_after = date_time_ymd(4001, 1, 1);
        for made in [signs_itself(old), signs_itself(young)] {
            assert!(check(&made.pem, Checks::Chain, &made.der, "db.example").is_err());
            check(&made.pem, Checks::Nothing, &made.der, "db.example").unwrap();
        }
    }
}

/// A trusted certificate is a root for whatever it has signed; whoever has its key is trusted anyway.
#[test]
fn what_a_trusted_certificate_signs_is_good_and_what_another_signs_is_not() {
    for is_authority in [true, false] {
        let issuer = signs_itself(params("ca.example", is_authority));
        let key = KeyPair::generate().unwrap();
        let signer = Issuer::from_params(&issuer.params, &issuer.key);
        let leaf = params("db.example", false).signed_by(&key, &signer).unwrap();
        let found = check(&issuer.pem, Checks::ChainAndName, leaf.der(), "db.example");
        assert!(found.is_ok(), "{is_authority}: {found:?}");
        let stranger = signs_itself(params("ca.example", is_authority));
        let found = check(&stranger.pem, Checks::ChainAndName, leaf.der(), "db.example");
        assert!(found.is_err(), "{is_authority}");
    }
}

#[test]
fn texts_without_certificates_are_no_trust() {
    for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Trust::from_pem(text.as_bytes()).is_err(), "{text}");
        assert!(Trust::system_and(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Verifier::new(Trust::system(), Checks::Chain).check(&[], "db.example").is_err());
}

#[test]
fn a_certificate_counts_once_however_often_it_is_there() {
    let own = signs_itself(params("db.example", true));
    let thrice = [own.pem.as_str(); 3].concat();
    check(&thrice, Checks::ChainAndName, &own.der, "db.example").unwrap();
    assert_eq!(Trust::from_pem(thrice.as_bytes()).unwrap().roots.len(), 1);
}
