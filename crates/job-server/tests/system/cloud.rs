//! A simulated cloud, which runs in the process of the test and survives the server.

use std::{sync::Arc, time::Duration};

use job_sim::{Plan, Sim, SimServer, TimeSource};
use tokio::runtime::Runtime;

use crate::server::Setup;

/// A simulated cloud over TLS on loopback.
pub(crate) struct Cloud {
    pub(crate) sim: Arc<Sim>,
    server: SimServer,
    _runtime: Runtime,
}

impl Cloud {
    pub(crate) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
        let server = runtime.block_on(SimServer::start(sim.clone())).unwrap();
        Self { sim, server, _runtime: runtime }
    }

    /// Returns the settings of a server with the project `sim` of this cloud.
    pub(crate) fn setup(&self) -> Setup {
        let token = serde_json::to_value(self.sim.account()).unwrap()["token"].clone();
        let setup = Setup::new(&[]).variable("SIM_TOKEN", token.as_str().unwrap());
        let ca_file = setup.path("ca.pem");
        std::fs::write(&ca_file, self.server.ca_pem()).unwrap();
        let config = setup.path("server.toml");
        let text = format!(
            "[[projects]]\nname = \"sim\"\nid = \"{}\"\nendpoint = \"{}\"\nca_file = {ca_file:?}\n\
             credentials = {{ token_env = \"SIM_TOKEN\" }}\n",
            self.sim.project(),
            self.server.endpoint()
        );
        std::fs::write(&config, text).unwrap();
        setup.argument("--config").argument(config.display().to_string())
    }

    /// Adds jobs that take between one second and `longest`. Returns their ids.
    pub(crate) fn add_jobs(&self, count: u32, longest: Duration) -> Vec<String> {
        let add = |number| {
            let plan = Plan::create_cluster();
            let first = Duration::from_secs(1);
            let duration = first + (longest.saturating_sub(first)) * number / count;
            self.sim.add(plan.with_duration(duration)).to_string()
        };
        (0..count).map(add).collect()
    }
}
