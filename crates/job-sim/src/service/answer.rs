//! Answers a request, and changes the answer if a fault applies.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{DATE, HOST, RETRY_AFTER},
};
use job_model::{
    Job, Phase,
    job::{Metadata, Status},
};
use serde_json::{Value, json};

use super::{
    Sim,
    route::{Call, Route, route},
    submit::parse_submission,
};
use crate::{
    faults::{Fault, MAX_OVERSIZED_BODY_LEN},
    reply::{
        Answer, BodyEnd, ErrorReply, documented_error, echo, header, html_page, json_reply,
        json_text_reply, service_error, wrong_path_error,
    },
};

impl Sim {
    /// Answers the request with this number.
    pub(crate) fn answer(
        &self,
        request: &Request<Bytes>,
        number: u32,
        fault: Option<Fault>,
    ) -> Answer {
        let end = match &fault {
            Some(Fault::Reset | Fault::Refuse) => return Answer::Reset,
            Some(Fault::Stall | Fault::StallHandshake) => return Answer::Stall,
            Some(Fault::StallBody) => BodyEnd::Stalled,
            Some(Fault::Truncated | Fault::TruncatedError(_)) => BodyEnd::Truncated,
            Some(Fault::GoAway) => BodyEnd::Drained,
            _ => BodyEnd::Complete,
        };
        let mut response = match fault {
            Some(Fault::HtmlPage(status)) => html_page(status, request),
            Some(Fault::ErrorReply(StatusCode::TOO_MANY_REQUESTS)) => {
                throttled_response(DEFAULT_RETRY_AFTER, number)
            }
            Some(Fault::ErrorReply(status) | Fault::TruncatedError(status)) => {
                error_response(documented_error(status), number)
            }
            Some(Fault::WrongPath) => error_response(wrong_path_error(), number),
            Some(Fault::Throttled(pause)) => throttled_response(pause, number),
            Some(Fault::Reply(response)) => response,
            Some(Fault::Echo) => echo(request),
            Some(Fault::Garbage) => json_text_reply(StatusCode::OK, "{\"kind\": \"Jo".into()),
            Some(Fault::Oversized(bytes)) => {
                json_text_reply(StatusCode::OK, " ".repeat(bytes.min(MAX_OVERSIZED_BODY_LEN)))
            }
            altered => self.serve(request, number, altered.as_ref()),
        };
        let headers = response.headers_mut();
        headers.entry("x-request-id").or_insert_with(|| HeaderValue::from(number));
        let date = self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::try_from(date) {
            headers.entry(DATE).or_insert(date);
        }
        Answer::Reply(response, end)
    }

    fn serve(
        &self,
        request: &Request<Bytes>,
        number: u32,
        fault: Option<&Fault>,
    ) -> Response<Bytes> {
        let served = match route(request) {
            // The job is serialized directly and not through a `Value`, so that it is written as
            // the model writes it.
            Some(Route::Project(project, Call::Job(id))) => {
                match self.check_request(request, project).and_then(|()| self.read_job(id, fault)) {
                    Ok(job) => return json_reply(StatusCode::OK, &job),
                    Err(error) => Err(error),
                }
            }
            Some(Route::Project(project, Call::Jobs)) => {
                match self.check_request(request, project) {
                    Ok(()) => return json_reply(StatusCode::OK, &self.list_rows(fault)),
                    Err(error) => Err(error),
                }
            }
            Some(Route::Project(project, Call::Object { cluster, node })) => self
                .check_request(request, project)
                .and_then(|()| self.read_object(cluster, node, fault)),
            Some(Route::Project(project, call)) => {
                self.check_request(request, project).and_then(|()| self.submit(call, request))
            }
            Some(Route::Identity) => {
                Ok((StatusCode::OK, identity_document(&request_origin(request))))
            }
            Some(Route::Issuer(call)) => {
                let (mut service, mut authenticator) = (self.identity(), self.authenticator());
                let origin = request_origin(request);
                return service.answer(call, request, &mut authenticator, &origin, self.now());
            }
            Some(Route::Caller) => Ok((StatusCode::OK, json!({"caller": self.last_caller()}))),
            Some(Route::Faults) => Ok(self.handle_fault_script(request)),
            Some(Route::ObjectFaults) => Ok(self.handle_object_faults(request)),
            Some(Route::ListFaults) => Ok(self.handle_list_faults(request)),
            Some(Route::ExpireTokens) => {
                self.expire_tokens();
                Ok((StatusCode::OK, json!({})))
            }
            None => Err(wrong_path_error()),
        };
        match served {
            Ok((status, body)) => json_reply(status, &body),
            Err(ErrorReply { status: StatusCode::TOO_MANY_REQUESTS, .. }) => {
                throttled_response(DEFAULT_RETRY_AFTER, number)
            }
            Err(error) => error_response(error, number),
        }
    }

    /// Makes the checks that apply to every call of the job API: the gateway's (credentials and
    /// rate limit), then the service's own.
    fn check_request(&self, request: &Request<Bytes>, project: &str) -> Result<(), ErrorReply> {
        let caller = self.authenticator().authenticate_for_project(request, self.now())?;
        self.set_caller(caller);
        if !self.is_within_limit() {
            Err(documented_error(StatusCode::TOO_MANY_REQUESTS))
        } else if !header(request.headers(), "content-type").starts_with("application/json")
            && request.method() != Method::DELETE
        {
            // Table 2 of the reference page makes the header mandatory, but documents no error.
            let message = "Content-Type must be application/json";
            let body =
                json!({"kind": "Status", "status": "Failure", "message": message, "code": 400});
            Err(ErrorReply { status: StatusCode::BAD_REQUEST, body })
        } else if project != self.project.as_str() {
            Err(service_error(StatusCode::FORBIDDEN))
        } else {
            Ok(())
        }
    }

    /// Returns a job, changed by the fault.
    fn read_job(&self, id: &str, fault: Option<&Fault>) -> Result<Job, ErrorReply> {
        let lag = match fault {
            Some(Fault::Stale(lag)) => *lag,
            _ => Duration::ZERO,
        };
        let moment = self.moment();
        let job = self.jobs().read(id, &moment, lag);
        let job = job.ok_or_else(|| service_error(StatusCode::NOT_FOUND))?;
        Ok(apply_job_fault(job, fault))
    }

    /// Submits a job, and returns a reply with its id.
    fn submit(
        &self,
        call: Call<'_>,
        request: &Request<Bytes>,
    ) -> Result<(StatusCode, Value), ErrorReply> {
        let mut submission = parse_submission(call, request, &mut self.jobs())?;
        submission.plan = (self.map_submitted)(submission.plan);
        let job = self.jobs().add(submission.plan.clone(), self.elapsed());
        Ok(submission.reply(&job))
    }
}

/// The `Retry-After` of a throttled request, if the fault has none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Returns the job, changed by the fault.
fn apply_job_fault(mut job: Job, fault: Option<&Fault>) -> Job {
    let phase = match fault {
        Some(Fault::WrongUid) => {
            let uid = "00000000-9606-11e8-0000-0255ac10215d".into();
            job.metadata.get_or_insert_with(Metadata::default).uid = Some(uid);
            return job;
        }
        Some(Fault::Phase(text)) => Some(Phase::from(&**text)).filter(|_| !text.is_empty()),
        Some(Fault::PhaseBack) => Some(match job.phase() {
            Some(Phase::Success | Phase::Failed) => Phase::Running,
            _ => Phase::Initializing,
        }),
        _ => return job,
    };
    job.status.get_or_insert_with(Status::default).phase = phase;
    job
}

/// Returns the response of an error; the gateway adds the request's id to its own errors.
fn error_response(ErrorReply { status, mut body }: ErrorReply, number: u32) -> Response<Bytes> {
    if body.get("error_code").is_some() {
        body["request_id"] = number.to_string().into();
    }
    json_reply(status, &body)
}

fn throttled_response(pause: Duration, number: u32) -> Response<Bytes> {
    let mut response = error_response(documented_error(StatusCode::TOO_MANY_REQUESTS), number);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(pause.as_secs()));
    response
}

/// Returns the document that describes the identity service.
fn identity_document(origin: &str) -> Value {
    let link = json!({"rel": "self", "href": format!("{origin}/v3/")});
    json!({"version": {"id": "v3.6", "status": "stable", "updated": "2016-04-04T00:00:00Z",
        "links": [link]}})
}

/// Returns the origin that a request was sent to, which leads back to this service.
fn request_origin(request: &Request<Bytes>) -> String {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let authority = authority.unwrap_or_else(|| header(request.headers(), HOST.as_str()));
    format!("{}://{authority}", request.uri().scheme_str().unwrap_or("https"))
}
