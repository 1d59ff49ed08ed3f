//! Reads a reply from stdin, and prints it as a tree with its deviations.
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
        println!("deviation: {deviation}");
    }
    Ok(())
}
