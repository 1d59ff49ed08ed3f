//! Computes the expected result of decoding a body, with the decoding rules written as simply as
//! possible.

use std::collections::BTreeMap;

use job_model::decode::DeviationKind::{
    self, DuplicateParameter, DuplicateSpelling, ParameterNotText, SubJobsNotArray, UnexpectedType,
    UnrecognizedPhase, UnrecognizedTimestamp,
};

use crate::{
    bodies::{TIMES, V2_NAMES},
    tokens::{Style, Token},
};

/// The expected encoded value and deviations.
pub(crate) struct Expected {
    pub(crate) token: Token,
    pub(crate) deviations: Vec<(String, DeviationKind)>,
}

impl Expected {
    pub(crate) fn new(body: &Token, style: Style) -> Self {
        let mut rules = Rules { style, deviations: Vec::new() };
        Self {
            token: rules.field("", "", "job", body).with_sorted_members(),
            deviations: rules.deviations,
        }
    }
}

struct Rules {
    style: Style,
    deviations: Vec<(String, DeviationKind)>,
}

impl Rules {
    /// Returns the encoded value of a field with this path, in an object that is the value of the
    /// field `parent`.
    fn field(&mut self, path: &str, parent: &str, name: &str, value: &Token) -> Token {
        // The phase of API v2 has the name of the object that it is in.
        let name = match (parent, name) {
            ("status", "status") => "phase",
            _ => v3_name(name),
        };
        match (name, value) {
            ("job" | "metadata" | "spec" | "status", Token::Object(members)) => {
                let fields =
                    members.iter().filter(|(name, value)| !is_null(value) || !is_known(name));
                Token::Object(
                    fields
                        .map(|(member, value)| {
                            let path = if path.is_empty() {
                                member.clone()
                            } else {
                                format!("{path}.{member}")
                            };
                            (member.clone(), self.member(&path, name, member, value, members))
                        })
                        .collect(),
                )
            }
            ("extendParam", Token::Object(members)) => self.parameters(path, members),
            ("subJobs", Token::Array(elements)) => {
                let jobs = elements.iter().enumerate();
                Token::Array(
                    jobs.map(|(index, job)| {
                        self.field(&format!("{path}[{index}]"), "", "job", job)
                    })
                    .collect(),
                )
            }
            ("subJobs", Token::Object(_)) => {
                self.record_deviation(path, SubJobsNotArray);
                self.field(&format!("{path}[0]"), "", "job", value)
            }
            ("phase", Token::Text(text)) => {
                let known = ["Initializing", "Running", "Failed", "Success"].contains(&&**text);
                self.record_deviation_if(!known, path, UnrecognizedPhase, value)
            }
            ("creationTimestamp" | "updateTimestamp" | "completionTime", Token::Text(text)) => self
                .record_deviation_if(!TIMES.contains(&&**text), path, UnrecognizedTimestamp, value),
            (_, Token::Text(_)) if is_known(name) && !is_object(name) => value.clone(),
            _ => self.record_deviation_if(is_known(name), path, UnexpectedType, value),
        }
    }

    /// Returns the encoded value of a member of the object `parent`. If the object also has the name
    /// of API v3, the member is kept as it is. If the latter comes later, the member was already
    /// read.
    fn member(
        &mut self,
        path: &str,
        parent: &str,
        name: &str,
        value: &Token,
        members: &[(String, Token)],
    ) -> Token {
        let in_status = parent == "status";
        let other = V2_NAMES.iter().find(|(_, v2)| *v2 == name && (*v2 != "status" || in_status));
        let position = |name: &str| {
            members.iter().position(|(member, value)| member == name && !is_null(value))
        };
        let Some(v3) = other.and_then(|(v3, _)| position(v3)) else {
            return self.field(path, parent, name, value);
        };
        if position(name) < Some(v3) {
            self.field(path, parent, name, value);
        }
        self.record_deviation_if(true, path, DuplicateSpelling, value)
    }

    fn parameters(&mut self, path: &str, members: &[(String, Token)]) -> Token {
        let mut parameters = BTreeMap::new();
        for (name, value) in members {
            let path = format!("{path}.{name}");
            let text = match value {
                Token::Text(_) => Some(value.clone()),
                value if is_null(value) => None,
                _ => {
                    self.record_deviation(&path, ParameterNotText);
                    Some(Token::Text(value.write(self.style)))
                }
            };
            if parameters.insert(name.clone(), text).is_some() {
                self.record_deviation(&path, DuplicateParameter);
            }
        }
        let given = parameters.into_iter().filter_map(|(name, text)| Some((name, text?)));
        Token::Object(given.collect())
    }

    fn record_deviation(&mut self, path: &str, kind: DeviationKind) {
        self.deviations.push((path.into(), kind));
    }

    fn record_deviation_if(
        &mut self,
        odd: bool,
        path: &str,
        kind: DeviationKind,
        value: &Token,
    ) -> Token {
        if odd {
            self.record_deviation(path, kind);
        }
        value.clone()
    }
}

fn is_null(value: &Token) -> bool {
    *value == Token::null()
}

/// Returns the name of a field in API v3.
fn v3_name(name: &str) -> &str {
    let pair = V2_NAMES.iter().find(|(_, v2)| *v2 == name && name != "status");
    pair.map_or(name, |(v3, _)| v3)
}

/// Returns whether a field holds an object or an array.
fn is_object(name: &str) -> bool {
    ["job", "metadata", "spec", "status", "extendParam", "subJobs"].contains(&name)
}

/// Returns whether a field is known in any object. This is enough, because no unknown field is
/// generated with the name of a known field of another object.
fn is_known(name: &str) -> bool {
    let name = v3_name(name);
    let texts = [
        "kind",
        "apiVersion",
        "uid",
        "creationTimestamp",
        "updateTimestamp",
        "type",
        "clusterUID",
        "resourceID",
        "resourceName",
        "ownerJob",
        "phase",
        "reason",
        "message",
        "completionTime",
    ];
    is_object(name) || texts.contains(&name)
}
