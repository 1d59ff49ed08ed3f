//! Computes the expected result of decoding a body, with the decoding rules written as simply as
//! possible.

use std::collections::BTreeMap;

use job_model::decode::DeviationKind::{
    self, DuplicateParameter, ParameterNotText, SubJobsNotArray, UnexpectedType, UnrecognizedPhase,
    UnrecognizedTimestamp,
};

use crate::{
    bodies::TIMES,
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
            token: rules.field("", "job", body).with_sorted_members(),
            deviations: rules.deviations,
        }
    }
}

struct Rules {
    style: Style,
    deviations: Vec<(String, DeviationKind)>,
}

impl Rules {
    /// Returns the encoded value of a field with this name and path.
    fn field(&mut self, path: &str, name: &str, value: &Token) -> Token {
        match (name, value) {
            ("job" | "metadata" | "spec" | "status", Token::Object(members)) => {
                let fields =
                    members.iter().filter(|(name, value)| !is_null(value) || !is_known(name));
                Token::Object(
                    fields
                        .map(|(name, value)| {
                            let path = if path.is_empty() {
                                name.clone()
                            } else {
                                format!("{path}.{name}")
                            };
                            (name.clone(), self.field(&path, name, value))
                        })
                        .collect(),
                )
            }
            ("extendParam", Token::Object(members)) => self.parameters(path, members),
            ("subJobs", Token::Array(elements)) => {
                let jobs = elements.iter().enumerate();
                Token::Array(
                    jobs.map(|(index, job)| self.field(&format!("{path}[{index}]"), "job", job))
                        .collect(),
                )
            }
            ("subJobs", Token::Object(_)) => {
                self.record_deviation(path, SubJobsNotArray);
                self.field(&format!("{path}[0]"), "job", value)
            }
            ("phase", Token::Text(text)) => {
                let known = ["Initializing", "Running", "Failed", "Success"].contains(&&**text);
                self.record_deviation_if(!known, path, UnrecognizedPhase, value)
            }
            ("creationTimestamp" | "updateTimestamp", Token::Text(text)) => self
                .record_deviation_if(!TIMES.contains(&&**text), path, UnrecognizedTimestamp, value),
            (_, Token::Text(_)) if is_known(name) && !is_object(name) => value.clone(),
            _ => self.record_deviation_if(is_known(name), path, UnexpectedType, value),
        }
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

/// Returns whether a field holds an object or an array.
fn is_object(name: &str) -> bool {
    ["job", "metadata", "spec", "status", "extendParam", "subJobs"].contains(&name)
}

/// Returns whether a field is known in any object. This is enough, because no unknown field is
/// generated with the name of a known field of another object.
fn is_known(name: &str) -> bool {
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
    ];
    is_object(name) || texts.contains(&name)
}
