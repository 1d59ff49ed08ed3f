//! Tests the tracing span of each request, which uses OpenTelemetry's names.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use job_sim::{Fault, Plan, Sim, SimTransport, TimeSource};
use job_transport::{Client, Credentials, auth::Identity};
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn each_request_is_a_span_with_opentelemetry_names() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_span_events(FmtSpan::NEW)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);

    let sim =
        Arc::new(Sim::new(Plan::create_cluster(), TimeSource::PerRequest(Duration::from_secs(1))));
    let transport = SimTransport::new(sim.clone());
    let identity =
        Identity::new("https://iam.example:8443".parse().unwrap(), sim.login(), transport.clone());
    let endpoint = "https://cce.example/prefix".parse().unwrap();
    let client = Client::new(endpoint, Credentials::from_provider(identity), transport);
    // First a 404, because the service does not know the prefix; then no reply; then a refreshed
    // token.
    assert!(client.job(sim.job()).await.is_err());
    sim.inject_fault(Fault::Reset);
    assert!(client.job(sim.job()).await.is_err());
    sim.expire_tokens();
    sim.inject_fault(Fault::HtmlPage(http::StatusCode::UNAUTHORIZED));
    assert!(client.job(sim.job()).await.is_err());
    // The list of jobs has no job id.
    assert!(client.jobs().await.is_err());
    // A cluster and a node have ids of their own.
    let (cluster, node) = ("4a5b".parse().unwrap(), "7c".parse().unwrap());
    assert!(client.cluster(&cluster).await.is_err());
    assert!(client.node(&cluster, &node).await.is_err());

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    insta::assert_snapshot!(log);
}
