//! Transcripts of `config --check`, and the paths of Autopilot clusters.

use job_sim::{Fault, Plan};

use crate::session::{ENDPOINT_ARG, Transcript};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn config_check_reports_each_step() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    let check = format!("config --check {ENDPOINT_ARG}");
    session.run(&check).await;
    let auth_url = format!("{}/v3", session.endpoint());
    let account = session.sim.account();
    let login = [
        ("OS_USERNAME", account.user.to_string()),
        ("OS_PASSWORD", account.password.to_string()),
        ("OS_USER_DOMAIN_NAME", account.domain.to_string()),
        ("OS_AUTH_URL", auth_url),
    ];
    let by_password = format!("{check} --auth password");
    let logins = session.sim.logins();
    session.run_with(&by_password, "", |run| run.envs(login.clone())).await;
    assert_eq!(session.sim.logins() - logins, 1);
    session
        .run_with(&by_password, "", |run| run.envs(login.clone()).env("OS_PASSWORD", "canary"))
        .await;
    session.run_with(&check, "", |run| run.env("OS_TOKEN", "canary")).await;
    session.run(&format!("{check} --project other")).await;
    session.run(&format!("config --check {ENDPOINT_ARG}/wrong/path")).await;
    session.run("config --check --endpoint https://127.0.0.1:9").await;
    for fault in ["html", "503"] {
        session.sim.inject_faults(Fault::parse_script(fault).unwrap());
        session.run(&check).await;
    }
    session.run_with(&check, "", |run| run.env_remove("OS_TOKEN")).await;
    let account = session.sim.account();
    let key = [
        ("OS_ACCESS_KEY", account.access_key.clone()),
        ("OS_SECRET_KEY", account.secret_key.clone()),
        ("OS_AUTH_URL", format!("{}/v3", session.endpoint())),
    ];
    let by_key = format!("{check} --auth aksk");
    for name in [&*account.project_name, "no-such-project"] {
        session
            .run_with(&by_key, "", |run| {
                run.envs(key.clone()).env("OS_PROJECT_NAME", name).env_remove("OS_PROJECT_ID")
            })
            .await;
    }
    // Each service of this process has a key of its own.
    session.text = session.text.replace(&account.access_key, "SIMULATEDKEY00000000");
    session.check_snapshot(|shown| insta::assert_snapshot!(shown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autopilot_jobs_have_their_own_path() {
    let mut session = Transcript::new(Plan::create_cluster()).await;
    for (flag, path) in [("", "/api/v3/projects/"), ("--autopilot", "/autopilot/v3/projects/")] {
        let ran = session.run(&format!("get -v {flag} {ENDPOINT_ARG} JOB")).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains(&format!("{}{path}", session.endpoint())), "{ran:?}");
    }
    let shown = session.run(&format!("config --autopilot {ENDPOINT_ARG}")).await;
    let endpoint = format!("{}/autopilot", session.endpoint());
    assert!(shown.stdout.contains(&endpoint) && shown.stdout.contains("--autopilot"), "{shown:?}");
}
