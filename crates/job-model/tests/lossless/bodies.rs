//! Generates bodies of jobs, both like the service's and unlike any that it ever sent.

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};

use crate::tokens::{Style, Token};

/// Timestamps that are recognized. No other generated text is one.
pub(crate) const TIMES: [&str; 4] = [
    "2020-02-02 08:12:40.672772389 +0000 UTC",
    "2021-06-02 01:00:01.1 +0100 BST m=+12.3",
    " 2021-06-02T00:00:00Z",
    "0001-01-01 00:00:00 +0000 UTC",
];

/// The names that differ between the two versions of the API.
pub(crate) const V2_NAMES: [(&str, &str); 6] = [
    ("clusterUID", "clusteruid"),
    ("resourceID", "resourceid"),
    ("resourceName", "resourcename"),
    ("extendParam", "extendparam"),
    ("subJobs", "subjobs"),
    ("phase", "status"),
];

pub(crate) fn styles() -> impl Strategy<Value = Style> {
    (any::<bool>(), any::<bool>()).prop_map(|(blanks, escapes)| Style {
        blanks,
        escapes,
        trailing_commas: false,
        raw_controls: false,
    })
}

/// Generates a job with its sub-jobs. Half of the bodies are like the service's with some unknown
/// fields, and half have unexpected values. The names are those of API v3, those of API v2, or a
/// mixture of both.
pub(crate) fn bodies() -> impl Strategy<Value = Token> {
    let of_one_version = |odd, names| BodyGenerator { odd, names }.bodies();
    prop_oneof![
        of_one_version(0, Names::V3),
        of_one_version(1, Names::V3),
        of_one_version(0, Names::V2),
        of_one_version(1, Names::V2),
        of_one_version(0, Names::Mixed),
        of_one_version(1, Names::Mixed),
    ]
}

/// Generates a cluster or a node with one of these phases. Half of the bodies are like the service's
/// with some unknown fields, and half have unexpected values.
pub(crate) fn objects(phases: &'static [&'static str]) -> impl Strategy<Value = Token> {
    let objects = |odd| BodyGenerator { odd, names: Names::V3 }.object_of_service(phases);
    prop_oneof![objects(0), objects(1)]
}

#[derive(Clone, Copy)]
struct BodyGenerator {
    /// The weight of unexpected values; 0 generates none.
    odd: u32,
    names: Names,
}

/// The version of the API whose names are used.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    V3,
    V2,
    /// Both, sometimes for one field of an object.
    Mixed,
}

impl BodyGenerator {
    fn bodies(self) -> BoxedStrategy<Token> {
        let leaf = self.job(Just(Token::Array(Vec::new())).boxed());
        let with_sub_jobs = move |inner: BoxedStrategy<Token>| {
            let element = self.or_odd(12, inner.clone(), values());
            let array = vec(element, 0..4).prop_map(Token::Array).boxed();
            self.job(self.or_odd(8, array, inner))
        };
        leaf.prop_recursive(3, 24, 3, with_sub_jobs).boxed()
    }

    fn job(self, sub_jobs: BoxedStrategy<Token>) -> BoxedStrategy<Token> {
        let times = || self.or_odd(4, select(&TIMES[..]).prop_map(text).boxed(), texts());
        let metadata = self.object(vec![
            ("uid", texts()),
            ("creationTimestamp", times()),
            ("updateTimestamp", times()),
        ]);
        let spec = self.object(vec![
            ("type", texts()),
            ("clusterUID", texts()),
            ("resourceID", texts()),
            ("resourceName", texts()),
            ("extendParam", self.parameters()),
            ("subJobs", sub_jobs),
            ("ownerJob", texts()),
        ]);
        let phases = ["Initializing", "Running", "Failed", "Success"];
        let odd_phases = ["success", "fAILED", "Upgrading", ""];
        let phases = self.or_odd(
            2,
            select(phases.to_vec()).prop_map(text).boxed(),
            select(odd_phases.to_vec()).prop_map(text).boxed(),
        );
        let status = self.object(vec![
            ("phase", phases),
            ("reason", texts()),
            ("message", texts()),
            ("completionTime", times()),
        ]);
        self.object(vec![
            ("kind", prop_oneof![Just(text("Job")), texts()].boxed()),
            ("apiVersion", prop_oneof![Just(text("v3")), Just(text("v2")), texts()].boxed()),
            ("metadata", metadata),
            ("spec", spec),
            ("status", status),
        ])
    }

    fn object_of_service(self, phases: &'static [&'static str]) -> BoxedStrategy<Token> {
        let times = || self.or_odd(4, select(&TIMES[..]).prop_map(text).boxed(), texts());
        let metadata = self.object(vec![
            ("name", texts()),
            ("uid", texts()),
            ("creationTimestamp", times()),
            ("updateTimestamp", times()),
            ("alias", texts()),
        ]);
        let odd_phases = ["available", "ACTIVE", "Moving", ""];
        let phases = self.or_odd(
            2,
            select(phases).prop_map(text).boxed(),
            select(odd_phases.to_vec()).prop_map(text).boxed(),
        );
        let status = self.object(vec![
            ("phase", phases),
            ("jobID", texts()),
            ("reason", texts()),
            ("message", texts()),
            ("lastProbeTime", times()),
            ("endpoints", values()),
        ]);
        let kinds = ["Cluster", "cluster", "Node"].map(|kind| Just(text(kind)));
        self.object(vec![
            ("kind", prop_oneof![proptest::strategy::Union::new(kinds), texts()].boxed()),
            ("apiVersion", prop_oneof![Just(text("v3")), texts()].boxed()),
            ("metadata", metadata),
            ("spec", values()),
            ("status", status),
        ])
    }

    /// Generates an object with some of these fields, most of them normal, and some unknown fields.
    fn object(self, fields: Vec<(&'static str, BoxedStrategy<Token>)>) -> BoxedStrategy<Token> {
        let known = fields.into_iter().flat_map(|(name, proper)| {
            let value = prop_oneof![12 => proper, 1 => Just(bare("null"))].boxed();
            let value = self.or_odd(12, value, values());
            self.spellings(name).into_iter().map(move |(name, probability)| {
                option::weighted(probability, value.clone())
                    .prop_map(move |value| Some((name.into(), value?)))
            })
        });
        // No known field has a name of one or two letters.
        let unknown = vec(("[a-c]{1,2}|ü", values()).prop_map(Some), 0..2);
        (known.collect::<Vec<_>>(), unknown)
            .prop_map(|(known, unknown)| known.into_iter().chain(unknown).flatten().collect())
            .prop_flat_map(|members: Vec<_>| Just(members).prop_shuffle())
            .prop_map(Token::Object)
            .boxed()
    }

    /// Returns the names of a field, and how probable each is.
    fn spellings(self, name: &'static str) -> Vec<(&'static str, f64)> {
        let v2_name = V2_NAMES.into_iter().find_map(|(v3, v2)| (v3 == name).then_some(v2));
        match (self.names, v2_name) {
            (Names::V3, _) | (_, None) => vec![(name, 0.7)],
            (Names::V2, Some(v2_name)) => vec![(v2_name, 0.7)],
            (Names::Mixed, Some(v2_name)) => vec![(name, 0.4), (v2_name, 0.4)],
        }
    }

    fn parameters(self) -> BoxedStrategy<Token> {
        let value = prop_oneof![6 => texts(), 1 => Just(bare("null"))].boxed();
        let plain = btree_map("[a-c]{1,2}", value.clone(), 0..3);
        let odd = vec(("[a-c]", prop_oneof![value, values()]), 0..3);
        self.or_odd(
            1,
            plain.prop_map(|members| Token::Object(members.into_iter().collect())).boxed(),
            odd.prop_map(Token::Object).boxed(),
        )
    }

    /// Generates the proper value `times` times as often as the odd one.
    fn or_odd(
        self,
        times: u32,
        proper: BoxedStrategy<Token>,
        odd: BoxedStrategy<Token>,
    ) -> BoxedStrategy<Token> {
        if self.odd == 0 { proper } else { prop_oneof![times => proper, self.odd => odd].boxed() }
    }
}

/// Generates any value of any type.
fn values() -> BoxedStrategy<Token> {
    let number = "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![
        select(&["null", "true", "false", "1.10", "-0", "12345678901234567890"][..]).prop_map(bare),
        number.prop_map(Token::Bare),
        texts(),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Token::Array),
            vec(("[a-c]", inner), 0..3).prop_map(Token::Object),
        ]
    })
    .boxed()
}

fn texts() -> BoxedStrategy<Token> {
    "[a-z\"\\\\/ ü\u{1f600}\u{7}\n]{0,6}".prop_map(Token::Text).boxed()
}

fn text(text: &str) -> Token {
    Token::Text(text.into())
}

fn bare(text: &str) -> Token {
    Token::Bare(text.into())
}
