//! Tests that each fault of the simulator has the same effect over TLS and in memory.

use std::{fmt::Write, sync::Arc, time::Duration};

use job_sim::{Fault, Plan, Sim, SimServer, SimTransport, TimeSource};
use job_transport::{Client, Endpoint};

use crate::support::{TEST_TIMEOUT, trusting};

/// Reads the job once with this fault. Returns the result, and whether the next attempt fails, too.
async fn describe_fault(sim: &Arc<Sim>, client: &Client, fault: Option<Fault>) -> String {
    sim.inject_faults([fault]);
    let outcome = match client.job(sim.job()).await {
        Ok(reading) => {
            let phase =
                reading.job().phase().map_or_else(|| "no phase".into(), ToString::to_string);
            let its_own = reading.job().uid() == Some(sim.job().as_str());
            format!("{phase}{}", if its_own { "" } else { " of another job" })
        }
        Err(error) => format!("{:?}: {error}", error.class()),
    };
    let next = client.job(sim.job()).await;
    format!("{outcome}{}", if next.is_ok() { "" } else { "; and the next attempt fails too" })
}

/// Each fault, with both transports, on a new service.
#[tokio::test(start_paused = true)]
async fn each_fault_has_the_same_effect_over_tls_and_in_memory() {
    let faults = "ok, refuse, stall-handshake, reset, stall, stall-body, truncated, truncated:401, goaway, oversized, \
        oversized:99, garbage, html, page:302, page:503, 401, 404, 429, 503, throttled:30, wrong-uid, \
        stale:1, phase-back, phase:Paused, phase:";
    let mut table = String::new();
    for (name, fault) in faults.split(',').map(str::trim).zip(Fault::parse_script(faults).unwrap())
    {
        let pace = TimeSource::PerRequest(Duration::from_secs(1));
        let [over_tls, in_memory] =
            [(); 2].map(|()| Arc::new(Sim::new(Plan::create_cluster(), pace)));
        // A fault of the connection needs a new connection.
        let is_of_connection = matches!(fault, Some(Fault::Refuse | Fault::StallHandshake));

        let server = SimServer::start(over_tls.clone()).await.unwrap();
        let endpoint: Endpoint = server.endpoint().parse().unwrap();
        let client = over_tls.client(endpoint, trusting(server.ca_pem()));
        let transport = SimTransport::new(in_memory.clone());
        let memory = in_memory.client("https://cce.example".parse().unwrap(), transport);
        let mut rows = Vec::new();
        for (sim, client) in [(&over_tls, client), (&in_memory, memory)] {
            let client = client.attempt_timeout(TEST_TIMEOUT / 2);
            if !is_of_connection {
                client.job(sim.job()).await.unwrap();
            }
            rows.push(describe_fault(sim, &client, fault.clone()).await);
        }
        // Only the error over TLS knows the host.
        let address = server.endpoint().replace("https://", "");
        rows[0] = rows[0].replace(&format!("`{address}`"), "the server");
        match &*rows {
            [tls, memory] if tls == memory => writeln!(table, "{name}\n    {tls}").unwrap(),
            rows => writeln!(table, "{name}\n    {}", rows.join("\n    in memory: ")).unwrap(),
        }
    }
    insta::assert_snapshot!(table);
}
