//! The files for operations: the unit of systemd, the manifest of Kubernetes, the alert rules, and the
//! example of a configuration.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Service, ServiceAccount},
        policy::v1::PodDisruptionBudget,
    },
    serde::{Serialize, de::DeserializeOwned},
};
use serde_json::Value;

use crate::server::Setup;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// Returns whether a program is installed. Prints that its test is skipped if it is not.
fn has_program(name: &str) -> bool {
    let mut command = Command::new(name);
    let run = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_installed = run.is_ok_and(|status| status.success());
    if !is_installed {
        let _ = writeln!(io::stderr(), "SKIPPED: {name} is not installed");
    }
    is_installed
}

#[test]
fn systemd_accepts_the_unit() {
    if !has_program("systemd-analyze") {
        return;
    }
    let text = fs::read_to_string(deploy("cce-job-server.service")).unwrap();
    let program = env!("CARGO_BIN_EXE_cce-job-server");
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("cce-job-server.service");
    // The program must exist.
    fs::write(&unit, text.replace("/usr/bin/cce-job-server", program)).unwrap();
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let printed = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && printed.trim().is_empty(), "{printed}");
    // The threshold is ten times the level. A service without settings has 9.6.
    let arguments = ["security", "--offline=true", "--threshold=15"];
    let secure = Command::new("systemd-analyze").args(arguments).arg(&unit).output().unwrap();
    assert!(secure.status.success(), "{}", String::from_utf8_lossy(&secure.stdout));
    // The flags exist.
    let flags = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    assert_flags_exist(flags.split_whitespace().filter(|word| word.starts_with("--")));
}

/// Checks that the command has these flags.
fn assert_flags_exist<'a>(flags: impl IntoIterator<Item = &'a str>) {
    let program = env!("CARGO_BIN_EXE_cce-job-server");
    let help = |arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let help = help(&["--help"]) + &help(&["ready", "--help"]);
    for flag in flags {
        let name = flag.split('=').next().unwrap();
        assert!(help.contains(&format!("{name} ")), "{name}");
    }
}

/// Parses a document of the manifest, and checks that each of its fields is one of the type: a field that
/// the type does not have would be lost.
fn parse<T: DeserializeOwned + Serialize>(document: &Value) -> T {
    let parsed: T = serde_json::from_value(document.clone()).unwrap();
    let again = serde_json::to_value(&parsed).unwrap();
    assert_contains(&again, document, "");
    parsed
}

fn assert_contains(whole: &Value, part: &Value, path: &str) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (name, value) in part {
                let found = whole.get(name).unwrap_or_else(|| panic!("{path}/{name} is unknown"));
                assert_contains(found, value, &format!("{path}/{name}"));
            }
        }
        (Value::Array(whole), Value::Array(part)) => {
            assert_eq!(whole.len(), part.len(), "{path}");
            for (index, (whole, part)) in whole.iter().zip(part).enumerate() {
                assert_contains(whole, part, &format!("{path}/{index}"));
            }
        }
        _ => assert_eq!(whole, part, "{path}"),
    }
}

#[test]
fn the_manifest_has_only_fields_of_kubernetes() {
    let text = fs::read_to_string(deploy("kubernetes.yaml")).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let kinds: BTreeMap<_, _> =
        documents.iter().map(|document| (document["kind"].as_str().unwrap(), document)).collect();
    assert_eq!(kinds.len(), documents.len(), "each kind occurs once");
    let name = "cce-job-server";
    let account: ServiceAccount = parse(kinds["ServiceAccount"]);
    let config: ConfigMap = parse(kinds["ConfigMap"]);
    let service: Service = parse(kinds["Service"]);
    let budget: PodDisruptionBudget = parse(kinds["PodDisruptionBudget"]);
    let deployment: Deployment = parse(kinds["Deployment"]);
    assert_eq!(documents.len(), 5);
    for metadata in [
        &account.metadata,
        &config.metadata,
        &service.metadata,
        &budget.metadata,
        &deployment.metadata,
    ] {
        assert_eq!(metadata.name.as_deref(), Some(name));
    }

    let spec = deployment.spec;
    assert_eq!(spec.replicas, Some(2));
    let labels = spec.template.metadata.unwrap().labels.unwrap();
    assert_eq!(service.spec.unwrap().selector.unwrap(), labels);
    assert_eq!(spec.selector.match_labels.unwrap(), labels);
    let pod = spec.template.spec.unwrap();
    assert_eq!(pod.service_account_name.as_deref(), Some(name));
    let context = pod.security_context.unwrap();
    assert_eq!((context.run_as_non_root, context.fs_group), (Some(true), Some(65532)));
    let container = &pod.containers[0];
    let context = container.security_context.as_ref().unwrap();
    assert_eq!(context.allow_privilege_escalation, Some(false));
    assert_eq!(context.read_only_root_filesystem, Some(true));
    assert!(container.liveness_probe.is_some() && container.readiness_probe.is_some());

    // Each mount has a volume. The secrets are references, and other users cannot read their files.
    let volumes = pod.volumes.unwrap();
    for mount in container.volume_mounts.as_ref().unwrap() {
        assert!(volumes.iter().any(|volume| volume.name == mount.name), "{}", mount.name);
    }
    for secret in volumes.iter().filter_map(|volume| volume.secret.as_ref()) {
        assert_eq!(secret.default_mode, Some(0o440));
    }
    let arguments = container.args.as_ref().unwrap();
    for variable in container.env.as_ref().unwrap() {
        let source = variable.value_from.as_ref().unwrap();
        match &source.field_ref {
            Some(field) => {
                assert_eq!((&*variable.name, &*field.field_path), ("POD_IP", "status.podIP"));
                // Prometheus uses the address of a pod as the host.
                assert!(arguments.contains(&"--allowed-host=$(POD_IP)".to_owned()));
            }
            None => assert_eq!(source.secret_key_ref.as_ref().unwrap().name, name),
        }
    }

    // The command has the flags, and accepts the configuration.
    let probe = container.readiness_probe.as_ref().unwrap().exec.as_ref().unwrap();
    let flags = container.args.iter().chain(&probe.command).flatten();
    assert_flags_exist(flags.map(String::as_str).filter(|flag| flag.starts_with("--")));
    let setup = Setup::new(&[]);
    let file = setup.path("server.toml");
    fs::write(&file, &config.data.unwrap()["server.toml"]).unwrap();
    let setup = setup.argument("--config").argument(file.display().to_string());
    let error = setup.variable("WEBHOOK_KEY", "c2hvcnQ=").fail("127.0.0.1:0");
    // Only what the secrets have is missing.
    assert!(error.contains("the key in WEBHOOK_KEY"), "{error}");
}

#[test]
fn the_alert_rules_fire_as_described() {
    if !has_program("promtool") {
        return;
    }
    for (task, file) in [("check", "alerts.yml"), ("test", "alerts-test.yml")] {
        let output =
            Command::new("promtool").args([task, "rules"]).arg(deploy(file)).output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&printed));
    }
}

#[test]
fn the_alert_rules_use_metrics_that_exist() {
    let setup = Setup::simulated(1);
    let server = setup.start();
    let metrics = server.send("GET", "/metrics", "").body;
    let metrics = metrics + &server.send("GET", "/metrics", "").body;
    let rules = fs::read_to_string(deploy("alerts.yml")).unwrap();
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let names = rules.split(|c| !is_name(c)).filter(|word| word.starts_with("cce_job_"));
    for name in names {
        assert!(metrics.contains(&format!("\n{name}")), "{name}");
    }
    // No label has a project or a job.
    let project = server.get("/api/v1/projects")["projects"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.send("PUT", &format!("/api/v1/waits/{project}/some-job"), "").status, 200);
    let metrics = server.send("GET", "/metrics", "").body;
    assert!(metrics.contains("route=\"/api/v1/waits/{project}/{job}\""), "{metrics}");
    assert!(!metrics.contains(&project) && !metrics.contains("some-job"));
}
