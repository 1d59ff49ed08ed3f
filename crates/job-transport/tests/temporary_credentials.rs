//! Tests the providers of temporary credentials with the simulated identity, metadata and pod
//! identity services: the caller that is logged in, and the number of requests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use jiff::SignedDuration;
use job_sim::{IdentityFlow, Plan, Sim, SimTransport, TestAccount, TimeSource};
use job_transport::{
    Client, Credentials, Endpoint, ErrorClass, FetchErrorKind,
    auth::{
        AssumeAgency, CredentialChain, Identity, MetadataService, OidcAssume, OidcLogin,
        PasswordLogin, PodIdentity, ProjectLookup, Sourced, TokenSource,
    },
    transport::{Transport, display_chain},
};
use serde_json::json;

const FLOWS: [IdentityFlow; 12] = [
    IdentityFlow::Password,
    IdentityFlow::TokenExchange,
    IdentityFlow::TokenInspection,
    IdentityFlow::AgencyToken,
    IdentityFlow::IdToken,
    IdentityFlow::KeyForToken,
    IdentityFlow::AgencyKey,
    IdentityFlow::AssumeWithOidc,
    IdentityFlow::Projects,
    IdentityFlow::MetadataToken,
    IdentityFlow::MetadataKey,
    IdentityFlow::PodIdentity,
];

/// Writes a file that only its owner can read.
fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// A file with the token of the pod, removed on drop.
struct PodToken(PathBuf);

impl PodToken {
    fn new(name: &str, token: &str) -> Self {
        let path = env::temp_dir().join(format!("job-transport-{}-{name}", std::process::id()));
        write_private(&path, token);
        Self(path)
    }
}

impl Drop for PodToken {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A way to log in.
type Method = fn(&Arc<Sim>, &PodToken) -> Credentials;

const METHODS: &[(&str, Method)] = &[
    ("password", |sim, _| {
        Credentials::from_provider(Identity::new(iam(), sim.login(), transport(sim)))
    }),
    ("metadata", |sim, _| Credentials::from_provider(MetadataService::new(transport(sim)))),
    ("pod identity", |sim, file| {
        let pod = PodIdentity::new("http://169.254.170.23/v1/credentials", transport(sim));
        Credentials::from_provider(pod.unwrap().token_file(&file.0))
    }),
    ("OIDC login", |sim, _| {
        let TestAccount { identity_provider, id_token, .. } = sim.account();
        let id_token = TokenSource::text(id_token).unwrap();
        Credentials::from_provider(OidcLogin::new(
            iam(),
            identity_provider,
            id_token,
            transport(sim),
        ))
    }),
    ("OIDC agency", |sim, _| {
        let TestAccount { provider_urn, agency_urn, id_token, .. } = sim.account();
        let id_token = TokenSource::text(id_token).unwrap();
        let sts: Endpoint = "https://sts.example".parse().unwrap();
        let assume = OidcAssume::new(sts, provider_urn, agency_urn, id_token, transport(sim));
        Credentials::from_provider(assume)
    }),
    ("agency with a token", |sim, _| agency(sim, sim.credentials())),
    ("agency with a password", |sim, _| {
        agency(sim, Credentials::from_provider(Identity::new(iam(), sim.login(), transport(sim))))
    }),
    ("agency with a key", |sim, _| agency(sim, Credentials::access_key(sim.access_key()))),
    ("agency with the key of the machine", |sim, _| {
        agency(sim, Credentials::from_provider(MetadataService::new(transport(sim))))
    }),
];

fn agency(sim: &Arc<Sim>, source: Credentials) -> Credentials {
    let TestAccount { agency, agency_domain, project_name, .. } = sim.account();
    let agency = AssumeAgency::new(iam(), source, agency_domain, agency, transport(sim));
    Credentials::from_provider(agency.project_name(project_name))
}

fn iam() -> Endpoint {
    "https://iam.example/v3".parse().unwrap()
}

fn transport(sim: &Arc<Sim>) -> SimTransport {
    SimTransport::new(sim.clone())
}

/// Returns a client that looks its project up, if the credentials have none.
fn client(sim: &Arc<Sim>, credentials: Credentials) -> Client {
    let client = Client::new("https://cce.example".parse().unwrap(), credentials, transport(sim));
    client.project_lookup(ProjectLookup::new(iam(), sim.account().project_name))
}

fn sim() -> Sim {
    Sim::new(Plan::create_cluster(), TimeSource::PerRequest(Duration::from_secs(1)))
}

/// Returns the number of requests of each flow that was used.
fn counts(sim: &Sim) -> String {
    let counts = FLOWS.map(|flow| (flow, sim.identity_requests(flow)));
    let used = counts.into_iter().filter(|(_, count)| *count > 0);
    used.map(|(flow, count)| format!(" {flow:?} {count}")).collect()
}

/// Fifty waits start at the same time, then all tokens and keys expire, and they read again.
#[tokio::test(start_paused = true)]
async fn concurrent_requests_share_one_login_and_one_refresh() {
    let mut shown = String::new();
    for (name, method) in METHODS {
        let sim = Arc::new(sim());
        let file = PodToken::new("shared", &sim.account().pod_token);
        let client = client(&sim, method(&sim, &file));
        let read = || join_all((0..50).map(|_| client.job(sim.job())));
        for reading in read().await {
            reading.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
        shown += &format!("{name} as {}\n ", sim.last_caller().unwrap());
        shown += &format!("{}\n", counts(&sim));
        sim.expire_tokens();
        tokio::time::advance(Duration::from_secs(60)).await;
        let readings = read().await;
        let refused = readings.iter().filter(|reading| reading.is_err()).count();
        shown += &format!("  after the expiry: {refused} refused,{}\n", counts(&sim));
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test(start_paused = true)]
async fn temporary_credentials_are_refreshed_before_they_expire() {
    for (name, method) in METHODS {
        let sim = Arc::new(sim().token_lifetime(SignedDuration::from_hours(1)));
        let file = PodToken::new("early", &sim.account().pod_token);
        let client = client(&sim, method(&sim, &file));
        // The fixed token of the simulation does not expire.
        for minute in 0..300 {
            let reading = client.job(sim.job()).await;
            let reading = reading.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert!(!reading.credentials_refreshed, "{name}: refused in minute {minute}");
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        let most = FLOWS.map(|flow| sim.identity_requests(flow)).into_iter().max().unwrap();
        assert!((6..=8).contains(&most), "{name}:{}", counts(&sim));
        assert!(sim.identity_requests(IdentityFlow::Projects) <= 1, "{name}");
    }
}

#[tokio::test]
async fn machines_and_passcodes_have_their_variants() {
    let read = async |sim: Sim, method: Method| {
        let sim = Arc::new(sim);
        let file = PodToken::new("variants", "wrong");
        let reading = client(&sim, method(&sim, &file)).job(sim.job()).await;
        (reading.map(|_| sim.last_caller().unwrap()), counts(&sim))
    };
    let metadata = METHODS[1].1;
    let (read_without_sessions, count) = read(sim().without_metadata_sessions(), metadata).await;
    assert_eq!(read_without_sessions.unwrap(), "agency of the machine");
    assert_eq!(count, " Projects 1 MetadataToken 1 MetadataKey 1");
    let (no_agency, count) = read(sim().without_machine_agency(), metadata).await;
    assert_eq!(no_agency.unwrap_err().class(), ErrorClass::Permanent);
    assert_eq!(count, " MetadataToken 1 MetadataKey 1");
    let (wrong_pod_token, count) = read(sim(), METHODS[2].1).await;
    assert_eq!(wrong_pod_token.unwrap_err().class(), ErrorClass::Unauthorized);
    assert_eq!(count, " PodIdentity 1");
    let (no_passcode, _) = read(sim().require_passcode(), METHODS[0].1).await;
    assert_eq!(no_passcode.unwrap_err().class(), ErrorClass::Unauthorized);
}

#[tokio::test]
async fn a_project_is_looked_up_by_its_name_with_any_credentials() {
    let names = ["eu-de", "eu", "twins"];
    let mut shown = String::new();
    for (name, key) in names.into_iter().flat_map(|name| [(name, false), (name, true)]) {
        let sim = sim().listed_project("1111", "twins").listed_project("2222", "twins");
        let sim = Arc::new(sim);
        let credentials = match key {
            true => Credentials::access_key(sim.access_key()),
            false => sim.credentials(),
        };
        let client =
            Client::new("https://cce.example".parse().unwrap(), credentials, transport(&sim));
        let client = client.project_lookup(ProjectLookup::new(iam(), name));
        assert_eq!(client.current_project(), None);
        let readings = join_all((0..20).map(|_| client.job(sim.job()))).await;
        let is_found = readings[0].is_ok();
        assert_eq!(client.current_project().as_ref(), Some(sim.project()).filter(|_| is_found));
        let result = match &readings[0] {
            Ok(_) => "read".into(),
            Err(error) => {
                assert_eq!(error.kind(), FetchErrorKind::NoProject);
                display_chain(error).to_string()
            }
        };
        shown += &format!("{name}, key {key}: {result};{}\n", counts(&sim));
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn an_unscoped_token_reads_no_job() {
    let sim = Arc::new(sim());
    let TestAccount { user, password, domain, .. } = sim.account();
    let login = PasswordLogin::new(user, password, domain);
    let credentials = Credentials::from_provider(Identity::new(iam(), login, transport(&sim)));
    let error = client(&sim, credentials).job(sim.job()).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Status(403));
}

/// An unscoped token comes from a variable, from `clouds.yaml` or from a file of its own.
#[tokio::test(start_paused = true)]
async fn an_unscoped_token_is_exchanged_once() {
    /// Puts a token into a file, and returns the variables to find it.
    type Settings = fn(&str, &PodToken) -> Vec<(&'static str, String)>;

    const ROWS: [(&str, Settings); 3] = [
        ("variable", |token, _| vec![("OS_TOKEN", token.into())]),
        ("clouds.yaml", |token, file| {
            write_private(&file.0, &format!("clouds: {{otc: {{auth: {{token: {token}}}}}}}"));
            let path = file.0.display().to_string();
            vec![("OS_CLOUD", "otc".into()), ("OS_CLIENT_CONFIG_FILE", path)]
        }),
        ("token file", |token, file| {
            write_private(&file.0, token);
            vec![]
        }),
    ];
    let rows = ROWS.into_iter().flat_map(|row| [(row, false), (row, true)]);
    for ((name, settings), has_project_id) in rows {
        let sim = Arc::new(sim());
        let unscoped = unscoped_token(&sim).await;
        let file = PodToken::new("unscoped", "");
        let settings = settings(&unscoped, &file);
        let chain = CredentialChain::new(settings.clone());
        let chain = chain.region(Sourced::new("eu-de".to_owned(), "the test"));
        let chain = if settings.is_empty() { chain.token_file(&file.0) } else { chain };
        let found = chain.resolve().unwrap().unwrap();
        assert!(found.uses_identity(), "{name}");
        // With an id, the token is used as it is until the service answers 403.
        let found = if has_project_id { found.with_project(sim.project().clone()) } else { found };
        let client = client(&sim, found.credentials(transport(&sim)).unwrap());
        let client = if has_project_id { client.project(sim.project().clone()) } else { client };
        for minute in 0..3 {
            for reading in join_all((0..50).map(|_| client.job(sim.job()))).await {
                reading.unwrap_or_else(|error| panic!("{name}, minute {minute}: {error:?}"));
            }
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        let count = counts(&sim);
        let expected = " Password 1 TokenExchange 1 TokenInspection 1";
        assert_eq!(count, expected, "{name}, {has_project_id}");
    }
}

/// Returns the token of a login without a project or an account.
async fn unscoped_token(sim: &Arc<Sim>) -> String {
    let TestAccount { user, password, domain, .. } = sim.account();
    let user = json!({"name": user, "password": password, "domain": {"name": domain}});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    let body = json!({"auth": {"identity": identity, "scope": {"unscoped": {}}}});
    let request = Request::post("https://iam.example/v3/auth/tokens");
    let request = request.body(Bytes::from(body.to_string())).unwrap();
    let reply = transport(sim).send(request).await.unwrap();
    reply.headers()["x-subject-token"].to_str().unwrap().into()
}
