//! Tests that the dates and the usage of certificates are read.

use proptest::prelude::*;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use super::*;

fn certificate(from: i32, to: i32, usages: Vec<ExtendedKeyUsagePurpose>) -> Vec<u8> {
    let mut params = CertificateParams::new(["localhost".into()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 2, 3));
    params.extended_key_usages = usages;
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn dates_and_usage_are_read() {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let rows = [
        (1970, 2049, vec![], true),
        (1999, 2050, vec![ServerAuth], true),
        (2000, 2999, vec![ClientAuth, ServerAuth], true),
        (2049, 2050, vec![ClientAuth], false),
    ];
    for (from, to, usages, is_for_servers) in rows {
        let expected = Validity {
            not_before: date_time_ymd(from, 1, 1).unix_timestamp(),
            not_after: date_time_ymd(to, 2, 3).unix_timestamp(),
            is_for_servers,
        };
        assert_eq!(Validity::read(&certificate(from, to, usages)), Some(expected), "{from} {to}");
    }
}

proptest! {
    #[test]
    fn never_panics(at in 0_usize..300, byte: u8, len in 0_usize..400) {
        let mut certificate = certificate(2000, 2050, vec![]);
        if let Some(place) = certificate.get_mut(at) {
            *place = byte;
        }
        certificate.truncate(len);
        let _ = Validity::read(&certificate);
    }
}
