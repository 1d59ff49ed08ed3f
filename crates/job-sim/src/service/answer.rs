//! What the service answers to one request, and what a fault makes of that.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{DATE, HOST, RETRY_AFTER},
};
use job_model::{Job, Metadata, Phase, Status};
use serde_json::{Value, json};

use super::{
    Sim,
    reply::{
        Answer, Ending, Refused, echo, gateway_refusal, header, json_reply, json_text, page,
        refusal, service_refusal,
    },
    route::{Call, Route, route},
    submit::submission,
};
use crate::faults::{Fault, LARGEST};

impl Sim {
    /// Answers a request of this number.
    pub(crate) fn answer(
        &self,
        request: &Request<Bytes>,
        number: u32,
        fault: Option<Fault>,
    ) -> Answer {
        let ending = match &fault {
            Some(Fault::Reset | Fault::Refuse) => return Answer::Reset,
            Some(Fault::Stall | Fault::StallHandshake) => return Answer::Stall,
            Some(Fault::StallBody) => Ending::Stalled,
            Some(Fault::Truncated) => Ending::BrokenOff,
            Some(Fault::GoAway) => Ending::Drained,
            _ => Ending::Whole,
        };
        let mut response = match fault {
            Some(Fault::Status(status)) => page(status, request),
            Some(Fault::Refusal(StatusCode::TOO_MANY_REQUESTS)) => throttled(ONE_SECOND, number),
            Some(Fault::Refusal(status)) => refused(refusal(status), number),
            Some(Fault::Throttled(pause)) => throttled(pause, number),
            Some(Fault::Reply(response)) => response,
            Some(Fault::Echo) => echo(request),
            Some(Fault::Garbage) => json_text(StatusCode::OK, "{\"kind\": \"Jo".into()),
            Some(Fault::Oversized(bytes)) => {
                json_text(StatusCode::OK, " ".repeat(bytes.min(LARGEST)))
            }
            altered => self.serve(request, number, altered.as_ref()),
        };
        let headers = response.headers_mut();
        headers.entry("x-request-id").or_insert_with(|| HeaderValue::from(number));
        let date = self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::try_from(date) {
            headers.entry(DATE).or_insert(date);
        }
        Answer::Reply(response, ending)
    }

    fn serve(
        &self,
        request: &Request<Bytes>,
        number: u32,
        fault: Option<&Fault>,
    ) -> Response<Bytes> {
        let served = match route(request) {
            // A job is written as the model writes it, not by way of a `Value`.
            Some(Route::Project(project, Call::Job(id))) => {
                match self.let_in(request, project).and_then(|()| self.job_now(id, fault)) {
                    Ok(job) => return json_reply(StatusCode::OK, &job),
                    Err(refused) => Err(refused),
                }
            }
            Some(Route::Project(project, call)) => {
                self.let_in(request, project).and_then(|()| self.submit(call, request))
            }
            Some(Route::Identity) => Ok((StatusCode::OK, identity(&origin(request)))),
            Some(Route::Login) => return self.gate().log_in(request, &origin(request), self.now()),
            Some(Route::Faults) => Ok(self.take_script(request)),
            Some(Route::ExpireTokens) => {
                self.expire_tokens();
                Ok((StatusCode::OK, json!({})))
            }
            None => {
                let message = "The API does not exist or has not been published.";
                Err(gateway_refusal(StatusCode::NOT_FOUND, "APIGW.0101", message))
            }
        };
        match served {
            Ok((status, body)) => json_reply(status, &body),
            Err((StatusCode::TOO_MANY_REQUESTS, _)) => throttled(ONE_SECOND, number),
            Err(refusal) => refused(refusal, number),
        }
    }

    /// Makes the checks that stand before every call of the job API: the gateway's, credentials and
    /// limit, then the service's own.
    fn let_in(&self, request: &Request<Bytes>, project: &str) -> Result<(), Refused> {
        self.gate().check(request, self.now())?;
        if !self.is_within_limit() {
            Err(refusal(StatusCode::TOO_MANY_REQUESTS))
        } else if !header(request.headers(), "content-type").starts_with("application/json")
            && request.method() != Method::DELETE
        {
            // Mandatory by the reference page's table 2, which says no answer to a request without.
            let message = "Content-Type must be application/json";
            let refusal =
                json!({"kind": "Status", "status": "Failure", "message": message, "code": 400});
            Err((StatusCode::BAD_REQUEST, refusal))
        } else if project != self.project.as_str() {
            Err(service_refusal(StatusCode::FORBIDDEN))
        } else {
            Ok(())
        }
    }

    /// Returns a job as it is, or as a fault has it.
    fn job_now(&self, id: &str, fault: Option<&Fault>) -> Result<Job, Refused> {
        let behind = match fault {
            Some(Fault::Stale(behind)) => *behind,
            _ => Duration::ZERO,
        };
        let job = self.jobs().look(id, self.pace, self.zero(), self.elapsed(), behind);
        let job = job.ok_or_else(|| service_refusal(StatusCode::NOT_FOUND))?;
        Ok(altered(job, fault))
    }

    /// Submits a job, and answers with its id.
    fn submit(
        &self,
        call: Call<'_>,
        request: &Request<Bytes>,
    ) -> Result<(StatusCode, Value), Refused> {
        let mut submission = submission(call, request, &mut self.jobs())?;
        submission.plan = (self.submitted)(submission.plan);
        let job = self.jobs().add(submission.plan.clone(), self.elapsed());
        Ok(submission.reply(&job))
    }

    fn take_script(&self, request: &Request<Bytes>) -> (StatusCode, Value) {
        let script = Fault::script(&String::from_utf8_lossy(request.body()));
        match script {
            Ok(faults) => {
                let count = faults.len();
                self.script(faults);
                (StatusCode::OK, json!({"faults": count}))
            }
            Err(error) => (StatusCode::BAD_REQUEST, json!({"message": error.to_string()})),
        }
    }
}

/// How long the gateway asks for where it throttles, and nobody said how long.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// Returns the job as a fault has it.
fn altered(mut job: Job, fault: Option<&Fault>) -> Job {
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

/// Returns a refusal as a reply; the gateway repeats the request's id in its own.
fn refused((status, mut body): Refused, number: u32) -> Response<Bytes> {
    if body.get("error_code").is_some() {
        body["request_id"] = number.to_string().into();
    }
    json_reply(status, &body)
}

fn throttled(pause: Duration, number: u32) -> Response<Bytes> {
    let mut response = refused(refusal(StatusCode::TOO_MANY_REQUESTS), number);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(pause.as_secs()));
    response
}

/// Returns what the identity service says of itself.
fn identity(origin: &str) -> Value {
    let link = json!({"rel": "self", "href": format!("{origin}/v3/")});
    json!({"version": {"id": "v3.6", "status": "stable", "updated": "2016-04-04T00:00:00Z",
        "links": [link]}})
}

/// Returns where a request was sent: what leads back here.
fn origin(request: &Request<Bytes>) -> String {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let authority = authority.unwrap_or_else(|| header(request.headers(), HOST.as_str()));
    format!("{}://{authority}", request.uri().scheme_str().unwrap_or("https"))
}
