//! Decodes bytes as a list of jobs. Every row of an accepted list can be decoded, and the fields that
//! are read without decoding are those of the job.
#![no_main]

use cce_job_fuzz::run_within_time;
use job_model::job::JobList;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| run_within_time(body.len(), || {
    let Ok(list) = JobList::from_slice(body) else {
        return;
    };
    for row in list.rows() {
        let job = row.decode().expect("a row can be decoded").job;
        assert_eq!((row.uid(), row.job_type()), (job.uid(), job.job_type()));
        assert_eq!(row.phase().as_ref(), job.phase());
        assert_eq!(
            (row.created_at(), row.updated_at(), row.completed_at()),
            (job.created_at(), job.updated_at(), job.completed_at()),
        );
    }
}));
