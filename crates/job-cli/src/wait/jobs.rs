//! The jobs to wait for: given as arguments, read from stdin, read from submission replies, or
//! resumed from a checkpoint file.

use std::{collections::HashMap, path::Path, time::Duration};

use anyhow::anyhow;
use clap::Args;
use jiff::Timestamp;
use job_model::{
    JobId,
    object::{ClusterId, NodeId, ObjectId},
};
use job_poller::{
    Checkpoint, Fleet, WaitPolicy,
    fleet::{FleetWait, WaitRequest},
    machine::Machine,
};

use super::{
    checkpoint_file::{CheckpointFile, Origin},
    slice_state,
};
use crate::{
    exit::{Exit, OrExit},
    input::{IdArg, InputArg, Submitted, distinct, parse_id},
    terminal::stderr,
};

#[derive(Args)]
pub(crate) struct JobArgs {
    /// Job ids; `-` reads them from stdin, one per line, with comments after `#`
    #[arg(value_name = "ID")]
    ids: Vec<IdArg>,
    /// Read the job ids from the replies to the API calls that created the jobs: one or several,
    /// with or without headers (`curl -i`), or only the ids; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    from: Vec<InputArg>,
    /// Wait until this cluster is ready, without a job, for example after it was resized or
    /// woken up; see --until
    #[arg(long, value_name = "ID", conflicts_with_all = ["ids", "from"], value_parser = parse_id::<ClusterId>)]
    cluster: Option<ClusterId>,
    /// Wait for this node of the cluster instead of the cluster; can be repeated
    #[arg(long, value_name = "ID", requires = "cluster", value_parser = parse_id::<NodeId>)]
    node: Vec<NodeId>,
    /// State of the waits, as in the commands that --at-most prints
    #[arg(long, value_name = "STATE", conflicts_with = "checkpoint", hide_short_help = true)]
    state: Option<String>,
}

/// The jobs of a command.
pub(crate) struct Resolved {
    pub(crate) file: Option<CheckpointFile>,
    pub(crate) starts: Vec<Start>,
    /// The most severe exit code of the jobs in earlier slices.
    pub(crate) earlier: Exit,
}

/// How a wait starts.
#[derive(Debug)]
pub(crate) enum Start {
    /// A job, and the id of what it makes or deletes, if a reply contains it.
    New(JobId, Option<String>),
    /// A cluster or a node, without a job.
    Object(ObjectId),
    Resumed(Box<Checkpoint>),
}

impl JobArgs {
    /// Returns each job once, in the order of the command line. A job with a checkpoint in the file
    /// is resumed. Without any id, all jobs in the file are resumed. `other_input` is the input of
    /// the hints.
    ///
    /// # Errors
    ///
    /// Returns a usage error if there is no job, or if an input or the file cannot be read.
    pub(crate) fn resolve(
        &self,
        checkpoint: Option<&Path>,
        origin: &Origin,
        other_input: &Option<InputArg>,
    ) -> anyhow::Result<Resolved> {
        let wait_id = |id: &ObjectId| {
            let machine = Machine::for_object(id.clone(), WaitPolicy::new());
            machine.job_id().clone()
        };
        let objects = self.objects().into_iter().map(|id| (wait_id(&id), id));
        let mut objects: HashMap<JobId, ObjectId> = objects.collect();
        let mut resource_ids = HashMap::new();
        let mut ids = self.ids(other_input.as_ref(), &mut resource_ids)?;
        ids.extend(self.objects().iter().map(wait_id));
        let (file, known, earlier) = match checkpoint {
            None => {
                let (known, earlier) = self.known_waits(origin);
                (None, known, earlier)
            }
            Some(file) => {
                let (file, known) = CheckpointFile::open(file, &ids, origin)?;
                let earlier = file.worst();
                (Some(file), known, earlier)
            }
        };
        let starts: Vec<_> = if ids.is_empty() {
            known.into_iter().map(|one| Start::Resumed(Box::new(one))).collect()
        } else {
            let known = known.into_iter().map(|one| (one.job_id().clone(), one));
            let mut known: HashMap<JobId, Checkpoint> = known.collect();
            let start = |id: JobId| match (known.remove(&id), objects.remove(&id)) {
                (Some(checkpoint), _) => Start::Resumed(Box::new(checkpoint)),
                (None, Some(object)) => Start::Object(object),
                (None, None) => {
                    let resource_id = resource_ids.remove(&id);
                    Start::New(id, resource_id)
                }
            };
            ids.into_iter().map(start).collect()
        };
        if starts.is_empty() {
            let error = match checkpoint {
                None => anyhow!(
                    "no job to wait for; give a job id, `-` for stdin, --from, or --cluster"
                ),
                Some(file) => anyhow!(
                    "no job to wait for; {} does not exist or is empty, so give a job id",
                    file.display()
                ),
            };
            return Err(error).or_exit(Exit::Usage);
        }
        Ok(Resolved { file, starts, earlier })
    }

    /// Returns whether a cluster or nodes are given instead of jobs.
    pub(crate) const fn has_objects(&self) -> bool {
        self.cluster.is_some()
    }

    /// Returns each node once or, without a node, the cluster.
    fn objects(&self) -> Vec<ObjectId> {
        let Some(cluster) = &self.cluster else { return Vec::new() };
        if self.node.is_empty() {
            return vec![ObjectId::Cluster(cluster.clone())];
        }
        let mut nodes = Vec::new();
        for node in &self.node {
            let id = ObjectId::Node { cluster: cluster.clone(), node: node.clone() };
            if !nodes.contains(&id) {
                nodes.push(id);
            }
        }
        nodes
    }

    /// Returns the waits in the value of `--state`, and the most severe exit code before them. If it
    /// cannot be used, prints a message.
    fn known_waits(&self, origin: &Origin) -> (Vec<Checkpoint>, Exit) {
        let Some(state) = &self.state else { return (Vec::new(), Exit::Done) };
        slice_state::decode(state, origin).unwrap_or_else(|| {
            stderr::line(
                "cce-job: --state is not used, because it is damaged, or from another version, endpoint \
                 or project; the waits begin again",
            );
            (Vec::new(), Exit::Done)
        })
    }

    /// Returns the ids of the jobs. Adds the ids of what they make or delete, if a reply contains them.
    fn ids(
        &self,
        other_input: Option<&InputArg>,
        resource_ids: &mut HashMap<JobId, String>,
    ) -> anyhow::Result<Vec<JobId>> {
        let mut ids = IdArg::read_all(&self.ids, self.from.iter().chain(other_input))?;
        for from in &self.from {
            for Submitted { id, resource_id } in from.read_submitted()? {
                resource_ids.extend(resource_id.map(|resource_id| (id.clone(), resource_id)));
                ids.push(id);
            }
        }
        Ok(distinct(ids))
    }
}

impl Start {
    /// Starts the wait. A new wait has the fleet's policy. A resumed wait has its own policy, changed by
    /// `change`, which also gets the checkpoint and how long the wait has run. `now` is the wall-clock
    /// time.
    pub(crate) fn start(
        self,
        fleet: &Fleet,
        now: Timestamp,
        change: impl FnOnce(WaitPolicy, Option<(&Checkpoint, Duration)>) -> WaitPolicy,
    ) -> FleetWait {
        match self {
            Self::New(id, _) => fleet.watch(id),
            Self::Object(id) => fleet.watch_with(WaitRequest::for_object(id)),
            Self::Resumed(checkpoint) => {
                let gap = checkpoint.taken_at().map(|then| now.duration_since(then));
                let gap = gap.and_then(|gap| Duration::try_from(gap).ok()).unwrap_or_default();
                let elapsed = checkpoint.elapsed().saturating_add(gap);
                let policy = change(*checkpoint.policy(), Some((&checkpoint, elapsed)));
                fleet.resume(checkpoint.with_policy(policy))
            }
        }
    }
}
