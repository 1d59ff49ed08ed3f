//! Tests that decoding and encoding a cluster or a node lose nothing.

use job_model::{
    decode::DeviationKind::{self, UnexpectedType, UnrecognizedPhase, UnrecognizedTimestamp},
    object::{Cluster, DecodedObject, Node, Object, ObjectKind},
};
use proptest::prelude::*;

use crate::{
    bodies::{TIMES, objects, styles},
    formats::{plain, without_nulls},
    sorted,
    tokens::{Style, Token},
};

/// The phases that are generated and known, of both kinds.
const PHASES: [&str; 5] = ["Available", "Creating", "Error", "Active", "Build"];

fn decode(kind: ObjectKind, json: &str) -> DecodedObject<Object> {
    Object::decode(kind, json.as_bytes()).unwrap()
}

fn encode(object: &Object) -> String {
    serde_json::to_string(object).unwrap()
}

/// Returns the expected encoded value, and adds the expected deviations.
fn expected(
    kind: ObjectKind,
    parent: &str,
    value: &Token,
    deviations: &mut Vec<(String, DeviationKind)>,
) -> Token {
    let Token::Object(members) = value else { return value.clone() };
    let mut kept = Vec::new();
    for (name, value) in members {
        let path = if parent.is_empty() { name.clone() } else { format!("{parent}.{name}") };
        let is_known = match (parent, &**name) {
            ("", "kind" | "apiVersion" | "metadata" | "status") => true,
            ("metadata", "name" | "uid" | "creationTimestamp" | "updateTimestamp") => true,
            ("status", "phase" | "jobID" | "reason" | "message") => true,
            ("status", "lastProbeTime") => kind == ObjectKind::Node,
            _ => false,
        };
        if is_known && *value == Token::null() {
            continue;
        }
        let mut kept_value = value.clone();
        let deviation = match (&*path, value) {
            _ if !is_known => None,
            ("metadata" | "status", Token::Object(_)) => {
                kept_value = expected(kind, &path, value, deviations);
                None
            }
            ("metadata" | "status", _) => Some(UnexpectedType),
            ("status.phase", Token::Text(text)) => {
                let is_of_kind = match text.as_str() {
                    "Available" | "Creating" => kind == ObjectKind::Cluster,
                    "Active" | "Build" => kind == ObjectKind::Node,
                    text => PHASES.contains(&text),
                };
                (!is_of_kind).then_some(UnrecognizedPhase)
            }
            (
                "metadata.creationTimestamp" | "metadata.updateTimestamp" | "status.lastProbeTime",
                Token::Text(text),
            ) => (!TIMES.contains(&&**text)).then_some(UnrecognizedTimestamp),
            (_, Token::Text(_)) => None,
            _ => Some(UnexpectedType),
        };
        deviations.extend(deviation.map(|kind| (path, kind)));
        kept.push((name.clone(), kept_value));
    }
    Token::Object(kept)
}

fn kinds() -> impl Strategy<Value = ObjectKind> {
    prop_oneof![Just(ObjectKind::Cluster), Just(ObjectKind::Node)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn decoded_objects_are_encoded_without_loss(
        kind in kinds(), body in objects(&PHASES), style in styles(),
    ) {
        let decoded = decode(kind, &body.write(style));
        let mut deviations = Vec::new();
        let expected = expected(kind, "", &body, &mut deviations).with_sorted_members();
        let encoded = encode(&decoded.object);
        prop_assert_eq!(Token::read(&encoded), expected);
        let found = decoded.deviations.iter().map(|found| (found.path.clone(), found.kind));
        prop_assert_eq!(sorted(found), sorted(deviations));
        prop_assert_eq!(encode(&decode(kind, &encoded).object), encoded);
    }

    /// A byte order mark makes the fast pass fail, and trailing commas need a repair.
    #[test]
    fn both_decoders_agree_on_objects(
        kind in kinds(), body in objects(&PHASES), style in styles(),
    ) {
        let text = body.write(style);
        let plain = decode(kind, &text);
        let marked = decode(kind, &format!("\u{feff}{text}"));
        prop_assert_eq!(&plain.object, &marked.object);
        prop_assert_eq!(&plain.deviations, &marked.deviations[1..]);
        let repaired = decode(kind, &body.write(Style { trailing_commas: true, ..style }));
        prop_assert_eq!(
            Token::read(&encode(&repaired.object)),
            Token::read(&encode(&plain.object)),
        );
    }

    #[test]
    fn other_formats_keep_objects(body in objects(&PHASES), style in styles()) {
        let text = body.write(style);
        let cluster = Cluster::from_slice(text.as_bytes()).unwrap();
        let encoded = |cluster: &Cluster| Token::read(&serde_json::to_string(cluster).unwrap());
        let bytes = postcard::to_allocvec(&cluster).unwrap();
        prop_assert_eq!(encoded(&postcard::from_bytes(&bytes).unwrap()), encoded(&cluster));
        let json = serde_json::to_string(&cluster).unwrap();
        prop_assert_eq!(encoded(&serde_json::from_str(&json).unwrap()), encoded(&cluster));
        if let Ok(toml) = toml::to_string(&cluster) {
            let read: Cluster = toml::from_str(&toml).unwrap();
            prop_assert_eq!(plain(encoded(&read)), without_nulls(plain(encoded(&cluster))));
        }

        let node = Node::from_slice(text.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        ciborium::into_writer(&node, &mut bytes).unwrap();
        let read: Node = ciborium::from_reader(&*bytes).unwrap();
        let json = serde_json::to_string(&node).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), json);
        let yaml = serde_saphyr::to_string(&node).unwrap();
        let read: Node = serde_saphyr::from_str(&yaml).unwrap();
        let encoded = |node: &Node| Token::read(&serde_json::to_string(node).unwrap());
        prop_assert_eq!(plain(encoded(&read)), plain(encoded(&node)), "{}", yaml);
    }
}
