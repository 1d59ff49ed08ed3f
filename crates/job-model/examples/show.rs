//! The model alone: a reply from stdin, shown as a tree, with what was odd about it.
//!
//! `cargo run -p job-model --example show < fixtures/jobs/reference-example.json`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    error::Error,
    io::{self, Read},
};

use job_model::Decoded;

fn main() -> Result<(), Box<dyn Error>> {
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    let Decoded { job, deviations, .. } = Decoded::from_slice(&body)?;
    print!("{}", job.tree());
    if let Some(failure) = job.failure() {
        println!("failed: {failure}");
    }
    for deviation in deviations {
        println!("odd: {deviation}");
    }
    Ok(())
}
