//! A fake service for unit tests of code that waits for jobs.
//!
//! [`FakeSource`] replies from a script. With tokio's paused time, a wait of an hour takes no time.
//! For tests with real requests, use the crate `job-sim`.
//!
//! A script is a list of words, each of which is the reply to one attempt. The last one repeats
//! forever.
//!
//! | word | reply |
//! |---|---|
//! | `init`, `running`, `success`, `failed` | a job in this phase; `failed` with a reason, `failed?` without |
//! | `none`, any other word | a job without a phase, or with this phase |
//! | `running:b`, `running:`, `running:9` | a job with the uid `b`, with an empty uid, or with a number as its uid; by default it has no uid |
//! | `running[A=success,B=running]` | a job with sub-jobs that have these types, and the same uids |
//! | `DeleteNode/running` | a job of this type; by default it is `CreateCluster` |
//! | `running[InstallNode#n1=success]` | a job with a sub-job that has the `resourceID` (and the uid) `n1` |
//! | `running!0` | a job that was created at second 0, by the service's clock |
//! | `running@5`, `success@5^8` | a job that was updated at second 5, in a reply that was sent at second 8, by the service's clock |
//! | `404`, `429(5s)` | this status, with a `Retry-After` |
//! | `nopath` | 404 with `APIGW.0101`: the path does not exist |
//! | `drop`, `refused`, `nohost`, `badcert` | the connection is lost or refused, the host is unknown, the certificate is rejected |
//! | `garbage`, `badsig` | 200 with HTML; a wrong signature |
//!
//! The prefix `+` means that the credentials were refreshed during the attempt. The suffix `~40s`
//! sets how long the attempt takes (by default 0.1 s), and `*3` repeats the reply.
//!
//! A job has the `clusterUID` `c`. A wait until its objects are ready reads them from scripts of their
//! own ([`FakeSource::with_object`]). In such a script, a word that is not listed above is a phase,
//! such as `Creating`, `Available` or `Active`; `:` sets the uid of the object, `!` its creation, `@` the last probe
//! of a node, and `^` the time of the reply.
//!
//! A wait may look up a sub-job by its own id. Such a sub-job is a job of its own, with its own
//! script ([`FakeSource::with_job`]) and its own count of attempts.
//!
//! # Examples
//!
//! A service maps errors of a wait to HTTP statuses. The test has a row for each:
//!
//! ```
//! use job_poller::{Wait, WaitErrorKind, testing::FakeSource};
//!
//! fn status(kind: WaitErrorKind) -> u16 {
//!     match kind {
//!         WaitErrorKind::NotFound => 404,
//!         WaitErrorKind::Unauthorized => 502,
//!         _ => 504,
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     for (script, expected) in [("404", 404), ("401", 502), ("running drop*9 running", 504)] {
//!         let wait = Wait::new(FakeSource::new(script)?, "4a5b".parse()?);
//!         assert_eq!(status(wait.await.unwrap_err().kind()), expected, "{script}");
//!     }
//!     Ok(())
//! }
//! ```

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use futures_core::future::BoxFuture;
use job_model::{
    JobId,
    object::{Object, ObjectId},
};
use job_transport::{FetchError, ObjectReading, Reading};

pub use crate::reply_script::ScriptError;
use crate::{
    reply_script::{Reply, ReplyScript},
    source::JobSource,
};

/// A source that replies from a script, for unit tests.
///
/// The [module](self) describes the script. Each job starts at the beginning of its script. Put the
/// source into an `Arc` if the test reads its [`attempts`](Self::attempts).
pub struct FakeSource {
    default_script: ReplyScript,
    scripts: HashMap<JobId, ReplyScript>,
    attempts: Mutex<HashMap<JobId, usize>>,
    objects: HashMap<ObjectId, ReplyScript>,
    object_attempts: Mutex<HashMap<ObjectId, usize>>,
}

impl FakeSource {
    /// Creates a source that replies from `script` for each job.
    ///
    /// # Errors
    ///
    /// Returns an error if a word of the script is not a reply, or if there is no reply.
    pub fn new(script: &str) -> Result<Self, ScriptError> {
        Ok(Self {
            default_script: ReplyScript::parse(script)?,
            scripts: HashMap::new(),
            attempts: Mutex::default(),
            objects: HashMap::new(),
            object_attempts: Mutex::default(),
        })
    }

    /// Sets the script of one job.
    ///
    /// # Errors
    ///
    /// Returns an error if a word of the script is not a reply, or if there is no reply.
    pub fn with_job(mut self, id: JobId, script: &str) -> Result<Self, ScriptError> {
        self.scripts.insert(id, ReplyScript::parse(script)?);
        Ok(self)
    }

    /// Sets the script of a cluster or a node. The reply to others is a 404.
    ///
    /// # Errors
    ///
    /// Returns an error if a word of the script is not a reply, or if there is no reply.
    ///
    /// # Examples
    ///
    /// ```
    /// use job_model::object::ObjectId;
    /// use job_poller::{Outcome, Wait, testing::FakeSource};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let source = FakeSource::new("running success")?
    ///     .with_object(ObjectId::Cluster("c".parse()?), "Creating*3 Available")?;
    /// let finished = Wait::new(source, "4a5b".parse()?).until_ready().await?;
    /// assert_eq!(finished.outcome, Outcome::Ready);
    /// # Ok(()) }
    /// ```
    pub fn with_object(mut self, id: ObjectId, script: &str) -> Result<Self, ScriptError> {
        self.objects.insert(id, ReplyScript::parse(script)?);
        Ok(self)
    }

    /// Returns the number of attempts to read a job so far.
    #[must_use]
    pub fn attempts(&self, id: &JobId) -> usize {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.get(id).copied().unwrap_or_default()
    }

    /// Returns the reply to the next attempt to read a job.
    fn next_reply(&self, id: &JobId) -> &Reply {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let number = attempts.entry(id.clone()).or_default();
        *number += 1;
        self.scripts.get(id).unwrap_or(&self.default_script).reply(*number - 1)
    }
}

impl JobSource for FakeSource {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async move {
            let reply = self.next_reply(id);
            #[expect(clippy::disallowed_methods, reason = "the latency of the fake service")]
            tokio::time::sleep(reply.latency).await;
            reply.result()
        })
    }

    fn fetch_object<'a>(
        &'a self,
        id: &'a ObjectId,
    ) -> BoxFuture<'a, Result<ObjectReading<Object>, FetchError>> {
        Box::pin(async move {
            let reply = self.next_object_reply(id);
            #[expect(clippy::disallowed_methods, reason = "the latency of the fake service")]
            tokio::time::sleep(reply.latency).await;
            reply.object_result(id.kind())
        })
    }
}

impl FakeSource {
    /// Returns the reply to the next attempt to read an object.
    fn next_object_reply(&self, id: &ObjectId) -> Reply {
        let mut attempts = self.object_attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let number = attempts.entry(id.clone()).or_default();
        *number += 1;
        let reply = self.objects.get(id).map(|script| script.reply(*number - 1).clone());
        reply.unwrap_or_else(Reply::not_found)
    }
}

impl fmt::Debug for FakeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeSource").finish_non_exhaustive()
    }
}
