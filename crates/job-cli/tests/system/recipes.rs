//! Runs the recipes of the README, unchanged, against a simulated service.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use job_sim::{IdentityFlow, ObjectPlan, Plan, Sim, SimServer, TimeSource};

use crate::support::{CommandResult, Folder, command, is_installed, run};

const README: &str = include_str!("../../README.md");

/// Returns the first code block below a heading that contains this text.
fn code_block(heading: &str, text: &str) -> String {
    let section = README.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("\n```").skip(1).step_by(2);
    let block =
        blocks.filter_map(|block| block.split_once('\n')).find(|(_, code)| code.contains(text));
    block.unwrap_or_else(|| panic!("{heading} has no block with {text:?}")).1.to_owned()
}

/// A service, and a folder to run scripts in.
struct RecipeFixture {
    sim: Arc<Sim>,
    server: SimServer,
    folder: Folder,
}

impl RecipeFixture {
    async fn new(plan: Plan) -> Self {
        Self::with_objects(plan, ObjectPlan::ready()).await
    }

    async fn with_objects(plan: Plan, objects: ObjectPlan) -> Self {
        let sim = Sim::new(plan, TimeSource::Clock).map_submitted(|plan| plan.faster(20));
        let sim = sim.default_object_plan(objects);
        let sim = Arc::new(sim);
        let server = SimServer::start(sim.clone()).await.unwrap();
        let folder = Folder::new();
        folder.write("ca.pem", server.ca_pem());
        Self { sim, server, folder }
    }

    async fn run(&self, script: &str) -> CommandResult {
        let account = self.sim.account();
        let beside = Path::new(env!("CARGO_BIN_EXE_cce-job")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut bash = Command::new("bash");
        bash.args(["-euc", script])
            .env_clear()
            .env("XDG_STATE_HOME", self.folder.file("state"))
            .current_dir(self.folder.file(""))
            .env("PATH", format!("{}:{path}", beside.display()))
            .env("ENDPOINT", self.server.endpoint())
            .env("CURL_CA_BUNDLE", "ca.pem")
            .env("OS_CACERT", "ca.pem")
            .env("OS_TOKEN", account.token)
            .env("OS_PROJECT_ID", account.project)
            .env("JOB_ID", self.sim.job().as_str())
            .env("GITHUB_STEP_SUMMARY", "summary.md")
            .env("GITHUB_OUTPUT", "output.txt");
        run(bash).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_recipe_creates_a_cluster_and_waits_for_it() {
    if !is_installed("curl", "--version") {
        return;
    }
    let fixture = RecipeFixture::new(Plan::create_cluster()).await;
    let script = code_block("In a shell, after curl", "--from -");
    let cluster = r#"{"kind": "Cluster", "metadata": {"name": "test"}, "spec": {}}"#;
    fixture.folder.write("cluster.json", cluster);
    let ran = fixture.run(&script).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains(": CreateCluster test (2 attempts)"), "{ran:?}");
    // Now there is a cluster with this name, so the call fails, and its error is printed.
    let ran = fixture.run(&script).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("no job id in stdin: the API call failed: CCE.01409001"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_recipe_goes_on_when_the_cluster_is_ready() {
    if !is_installed("curl", "--version") {
        return;
    }
    let objects = ObjectPlan::ready_after(Duration::from_secs(1));
    let fixture = RecipeFixture::with_objects(Plan::create_cluster(), objects).await;
    let script = code_block("In a shell, after curl", "--until ready");
    let cluster = r#"{"kind": "Cluster", "metadata": {"name": "test"}, "spec": {}}"#;
    fixture.folder.write("cluster.json", cluster);
    let ran = fixture.run(&script).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains(" is Available ("), "{ran:?}");
    assert!(ran.stdout.ends_with("add the nodes now\n"), "{ran:?}");
    // Now there is a cluster with this name, so the call fails, and the script ends.
    let ran = fixture.run(&script).await;
    assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn github_actions_recipe_outputs_the_address_of_the_api() {
    if !is_installed("jq", "--version") {
        return;
    }
    let fixture = RecipeFixture::new(Plan::create_cluster().faster(20)).await;
    let step = code_block("In GitHub Actions", "--until ready");
    let script = step.split("run: |\n").nth(1).unwrap();
    // Only the endpoint differs from the README.
    let script = script.replace("--region eu-de", "--endpoint \"$ENDPOINT\"");
    let ran = fixture.run(&script).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let output = fs::read_to_string(fixture.folder.file("output.txt")).unwrap();
    assert!(output.starts_with("api-address=https://203.0.113."), "{output}");
    assert_eq!(output.lines().count(), 1, "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_recipe_waits_until_the_job_has_ended() {
    if !is_installed("jq", "--version") {
        return;
    }
    for (plan, code, last) in [
        (Plan::create_cluster(), 0, " succeeded in "),
        (Plan::create_cluster().with_failure("sold out"), 5, "\"sold out\""),
    ] {
        let fixture = RecipeFixture::new(plan).await;
        let script = code_block("Slices for agents and CI steps", "eval");
        // Only the endpoint and the length of a slice differ from the README.
        let script = script.replace("--region eu-de", "--endpoint $ENDPOINT");
        let ran = fixture.run(&script.replace("--at-most 9m", "--at-most 1s")).await;
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stdout.contains(last) && ran.stdout.lines().count() == 1, "{ran:?}");
        assert!(ran.stderr.matches("stopped by --at-most").count() >= 2, "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complete_recipe_prints_the_ids_of_new_nodes() {
    if !is_installed("jq", "--version") {
        return;
    }
    let fixture = RecipeFixture::new(Plan::scale_up_cluster(2).visible_depth(1).faster(5)).await;
    let ran = fixture.run(&code_block("In a shell, after curl", "--full-tree")).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut ids: Vec<_> = ran.stdout.lines().collect();
    ids.sort_unstable();
    let expected = ["00000001-2338-11e8-825b-0255ac100c13", "00000002-2338-11e8-825b-0255ac100c13"];
    assert_eq!(ids, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn github_actions_recipe_writes_a_chart_and_exits_like_the_job() {
    for (plan, code, task) in [
        (Plan::create_cluster().faster(20), 0, ", Success :done"),
        (Plan::create_cluster().faster(20).with_failure("sold out"), 5, ", Failed, sold out :crit"),
    ] {
        let fixture = RecipeFixture::new(plan).await;
        let step = code_block("In GitHub Actions", "run: |");
        let script = step.split("run: |\n").nth(1).unwrap();
        // Only the endpoint differs from the README.
        let script = script.replace("--region eu-de", "--endpoint \"$ENDPOINT\"");
        let ran = fixture.run(&script).await;
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let summary = fs::read_to_string(fixture.folder.file("summary.md")).unwrap();
        assert!(summary.contains("\n```mermaid\ngantt\n"), "{summary}");
        let mut rows = summary.lines().filter(|row| row.contains("InstallMaster"));
        assert!(rows.any(|row| row.contains(task)), "{summary}");
        assert!(summary.ends_with("\n```\n"), "{summary}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terraform_recipe_waits_for_the_job() {
    let fixture = RecipeFixture::new(Plan::create_cluster().faster(20)).await;
    let resource = code_block("With Terraform", "local-exec");
    let command = resource.split("command = \"").nth(1).unwrap().split("\"\n").next().unwrap();
    let command = command.replace("${self.triggers.job}", fixture.sim.job().as_str());
    let command = command.replace("cce-job wait", "cce-job wait --endpoint \"$ENDPOINT\"");
    let ran = fixture.run(&command).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_recipe_waits_with_the_identity_of_its_pod() {
    let fixture = RecipeFixture::new(Plan::create_cluster().faster(20)).await;
    let plain = SimServer::start_plain(fixture.sim.clone(), ([127, 0, 0, 1], 0).into());
    let plain = plain.await.unwrap();
    let token_file = fixture.folder.write_private("pod-token", fixture.sim.account().pod_token);
    let job = code_block("In a Kubernetes Job", "kind: Job");
    let arguments = job.split("args:\n").nth(1).unwrap().lines().map(str::trim);
    let arguments = arguments.map_while(|line| line.strip_prefix("- "));
    // Only the endpoint, the CA, the job and the folder differ from the README.
    let checkpoint = fixture.folder.file("wait.json");
    let arguments = arguments.map(|argument| match argument {
        "--region=eu-west-101" => format!("--endpoint={}", fixture.server.endpoint()),
        "--checkpoint=/state/wait.json" => format!("--checkpoint={}", checkpoint.display()),
        "354331b2c-229a-11e8-9c75-0255ac100ceb" => fixture.sim.job().to_string(),
        argument => argument.into(),
    });
    let mut command = command();
    command
        .args(arguments)
        .arg("--ca-file")
        .arg(fixture.folder.file("ca.pem"))
        .env("HC_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v1/credentials", plain.endpoint()))
        .env("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_file);
    let ran = run(command).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(fixture.sim.last_caller().as_deref(), Some("agency of the pod"));
    assert_eq!(fixture.sim.identity_requests(IdentityFlow::PodIdentity), 1);
    assert_eq!(fixture.sim.identity_requests(IdentityFlow::MetadataToken), 0);
}
