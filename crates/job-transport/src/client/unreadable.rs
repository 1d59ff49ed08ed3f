//! Describes the body of a reply with status 200 that is not what was requested.

use job_model::{DecodeError, object::ObjectKind, reply::ForeignBody};

use crate::request::{FetchError, FetchErrorKind};

/// What a body should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requested {
    Job,
    ListOfJobs,
    Object(ObjectKind),
}

impl Requested {
    /// Returns the error of a body that is something else, or that was not decoded because of `cause`.
    /// It describes the body.
    pub(super) fn error(self, body: &[u8], cause: Option<DecodeError>) -> FetchError {
        let error = self.foreign_error(body);
        match cause {
            Some(cause) if error.kind() == FetchErrorKind::Undecodable => error.with_source(cause),
            _ => error,
        }
    }

    fn foreign_error(self, body: &[u8]) -> FetchError {
        let foreign = match self {
            Self::Job | Self::ListOfJobs => ForeignBody::from_body(body, &[]),
            Self::Object(kind) => ForeignBody::from_object_body(body, kind, &[]),
        };
        let Some(foreign) = foreign else {
            return self.new_error(FetchErrorKind::Undecodable);
        };
        let kind = match &foreign {
            ForeignBody::Empty => return self.new_error(FetchErrorKind::EmptyBody),
            ForeignBody::HtmlPage(_) => FetchErrorKind::HtmlPage,
            ForeignBody::Text | ForeignBody::Scalar | ForeignBody::List { .. } => {
                FetchErrorKind::Undecodable
            }
            _ => FetchErrorKind::WrongKind,
        };
        let error = self.new_error(kind);
        let error = match &foreign {
            ForeignBody::Error(said) | ForeignBody::OtherKind { error: Some(said), .. } => {
                error.with_service_error(said.clone())
            }
            _ => error,
        };
        error.with_detail(format!("the body is {foreign}"))
    }

    /// Returns the error of a body that is a job, although a list was requested.
    pub(super) fn single_job(self) -> FetchError {
        self.new_error(FetchErrorKind::WrongKind).with_detail("the body is a single job".into())
    }

    fn new_error(self, kind: FetchErrorKind) -> FetchError {
        let error = FetchError::new(kind);
        match self {
            Self::Job => error.with_message("the reply is not a valid job"),
            Self::ListOfJobs => error.with_message("the reply is not a valid list of jobs"),
            Self::Object(kind) => error.with_message(format!("the reply is not a valid {kind}")),
        }
    }
}
