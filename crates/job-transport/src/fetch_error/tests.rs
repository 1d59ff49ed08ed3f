//! The class of every status and of every way to get no reply.

use std::collections::BTreeMap;

use super::*;
use crate::RequestSent;

#[test]
fn every_status_has_its_class() {
    let mut classes = BTreeMap::<_, Vec<u16>>::new();
    for code in 100..1000 {
        let status = StatusCode::from_u16(code).unwrap();
        let class = FetchError::status(status, None).class();
        classes.entry(format!("{class:?}")).or_default().push(code);
    }
    let permanent = classes.remove("Permanent").unwrap();
    assert_eq!(permanent.len() + classes.values().map(Vec::len).sum::<usize>(), 900);
    assert!(
        [200, 204, 301, 400, 403, 405, 410, 501, 505, 600].iter().all(|c| permanent.contains(c))
    );
    let transient: Vec<u16> =
        [408, 409, 425].into_iter().chain((500..600).filter(|c| ![501, 505].contains(c))).collect();
    let expected = [
        ("NotFound", vec![404]),
        ("Throttled", vec![429]),
        ("Transient", transient),
        ("Unauthorized", vec![401]),
    ];
    assert_eq!(classes, expected.map(|(class, codes)| (class.to_owned(), codes)).into());
}

#[test]
fn every_way_to_get_no_reply_has_its_class() {
    use TransportErrorKind::*;
    let rows = [InvalidRequest, Connect, Certificate, Tls, Timeout, Closed, Protocol, BodyTooLarge];
    let line = |kind| {
        let error = FetchError::from(TransportError::new(kind, RequestSent::Maybe));
        format!("{kind:?}: {:?}: {error}\n", error.class())
    };
    insta::assert_snapshot!(rows.map(line).concat());
}
