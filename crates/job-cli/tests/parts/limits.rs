//! A limit of descriptors.

use std::process::Command;

use job_sim::Plan;

use crate::support::{Folder, run, service, wait};

/// Returns the command, run with a limit of descriptors.
pub(crate) fn with_descriptors(limit: u32, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {limit}; exec \"$@\""), "sh"]);
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_waits_end_with_sixty_four_descriptors() {
    let (sim, server) = service(1).await;
    let folder = Folder::new();
    let mut command = wait(&sim, &server.endpoint(), server.ca_pem(), &folder);
    command.arg(sim.job().as_str());
    command.args((0..199).map(|_| sim.add(Plan::create_cluster().faster(5)).to_string()));
    run(with_descriptors(64, &command)).await.succeeded(200, "");
    assert_eq!(server.connections(), 1);
}
