//! Tests which permissions of credential files the command accepts. Root runs the command as
//! another user; other users cannot make files that belong to somebody else.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use crate::support::{CommandResult, Folder, command, report_skipped, run};

/// A user without special rights, and another one.
const USER: u32 = 65_534;
const OTHER_USER: u32 = 65_533;
const ROOT: u32 = 0;

const CREDENTIALS: &str = "[basic]\nak = AK\nsk = canary\nproject_id = p\n";

/// Returns `cce-job config` without credentials.
fn config_command(program: &Path) -> Command {
    let mut config = Command::new(program);
    let reference = command();
    config.env_clear().envs(reference.get_envs().filter_map(|(name, value)| Some((name, value?))));
    config.args(["config", "--endpoint", "https://127.0.0.1:9", "--project", "p"]);
    config
}

/// What is in the file.
#[derive(Clone, Copy, Debug)]
enum Content {
    /// An access key.
    Credentials,
    Token,
    /// A client certificate and its key.
    ClientKey,
}

impl Content {
    const ALL: [Self; 3] = [Self::Credentials, Self::Token, Self::ClientKey];

    fn text(self) -> String {
        match self {
            Self::Credentials => CREDENTIALS.into(),
            Self::Token => "canary".into(),
            Self::ClientKey => {
                let pair = rcgen::generate_simple_self_signed(["client".into()]).unwrap();
                pair.cert.pem() + &pair.signing_key.serialize_pem()
            }
        }
    }

    /// Adds the flags and variables that name the file.
    fn select(self, file: &Path, config: &mut Command) {
        match self {
            Self::Credentials => config.env("HUAWEICLOUD_SDK_CREDENTIALS_FILE", file),
            Self::Token => config.arg("--token-file").arg(file),
            Self::ClientKey => config.env("OS_TOKEN", "canary").arg("--client-cert").arg(file),
        };
    }
}

/// What the command reports about the file.
fn shown(ran: &CommandResult) -> &'static str {
    assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
    let has = |texts: [&str; 2]| texts.iter().any(|text| ran.stderr.contains(text));
    let warnings = ran.stderr.matches("is readable by every user; it is used").count();
    match ran.code {
        Some(0) if warnings == 1 && ran.stderr.starts_with("cce-job: warning: ") => "a warning",
        Some(0) if ran.stderr.is_empty() => "nothing",
        Some(2) if has(["readable by every user; run: chmod o-rwx", "(chmod o-r)"]) => "readable",
        Some(2) if has(["can change it; run: chmod o-w", "can change it; remove this"]) => {
            "writable"
        }
        Some(2) if has(["belongs to another user (uid 65533)"; 2]) => "other owner",
        _ => panic!("{ran:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_others_can_read_or_change_are_refused() {
    let folder = Folder::new();
    let file = folder.write("credentials", CREDENTIALS);
    let me = fs::metadata(&file).unwrap().uid();
    let is_root = me == ROOT;
    // The other user may not have access to the folders of the build.
    let shared = tempfile::tempdir().unwrap();
    let program = shared.path().join("cce-job");
    let shared_file = shared.path().join("credentials");
    let (program, file) = if is_root {
        fs::set_permissions(shared.path(), Permissions::from_mode(0o755)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_cce-job"), &program).unwrap();
        fs::write(&shared_file, CREDENTIALS).unwrap();
        (program.as_path(), shared_file.as_path())
    } else {
        report_skipped("files of root and of other users", "only root can make them");
        (Path::new(env!("CARGO_BIN_EXE_cce-job")), file.as_path())
    };
    let rows = [
        (USER, 0o600, "nothing"),
        (USER, 0o640, "nothing"),
        (USER, 0o644, "readable"),
        (USER, 0o646, "writable"),
        (USER, 0o622, "writable"),
        (ROOT, 0o644, "a warning"),
        (ROOT, 0o646, "writable"),
        (OTHER_USER, 0o644, "other owner"),
        (OTHER_USER, 0o666, "other owner"),
    ];
    for (owner, mode, expected) in rows {
        if !is_root && owner != USER {
            continue;
        }
        if is_root {
            chown(file, Some(owner), None).unwrap();
        }
        fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
        // With -v, a warning is not in the log as well.
        let contents = Content::ALL.into_iter();
        let runs = contents.flat_map(|content| [(content, None), (content, Some("-v"))]);
        for (content, flag) in runs {
            let mut config = config_command(program);
            config.args(flag);
            content.select(file, &mut config);
            if is_root {
                config.uid(USER).gid(USER);
            }
            fs::write(file, content.text()).unwrap();
            let ran = run(config).await;
            assert_eq!(shown(&ran), expected, "{owner} {mode:o} {content:?} {flag:?}: {ran:?}");
        }
    }
}
