//! What would be used in the environments that people have: the host of each request, the project,
//! the authentication method, each with its origin, or the refusal.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};

use super::*;
use crate::{
    Client,
    testing::ManualClock,
    transport::{Transport, TransportError},
};

/// Answers each request with status 503, and keeps its method and URI.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl Transport for Recorder {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.0.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        let reply = Response::builder().status(503).body(Bytes::new()).unwrap();
        Box::pin(async { Ok(reply) })
    }
}

/// Returns the requests of an attempt up to the first that is answered with an error.
async fn requests(found: &ResolvedCredentials, endpoint: &Endpoint) -> String {
    let recorder = Recorder::default();
    let credentials = match found.credentials(recorder.clone()) {
        Ok(credentials) => credentials,
        Err(error) => return format!("refused: {error}"),
    };
    let clock = ManualClock::new();
    let client = Client::with_clock(endpoint.clone(), credentials, recorder.clone(), clock);
    let client = match (&found.project, found.project_lookup()) {
        (Some(project), _) => client.project(project.clone()),
        (None, Some(lookup)) => client.project_lookup(lookup),
        (None, None) => client,
    };
    client.job(&"job-1".parse().unwrap()).await.unwrap_err();
    let requests = recorder.0.lock().unwrap();
    requests.join(", ")
}

/// Returns the chain for a line such as `--region=eu-de OS_TOKEN=MIIF`. `~` is the folder.
fn chain(line: &str, folder: &TempFolder) -> CredentialChain {
    let words = line.split_whitespace().filter_map(|word| word.split_once('='));
    let words = words.map(|(name, value)| (name, value.replace('~', folder.path())));
    let (flags, variables): (Vec<_>, Vec<_>) = words.partition(|(name, _)| name.starts_with("--"));
    flags.into_iter().fold(CredentialChain::new(variables), |chain, (flag, value)| match flag {
        "--endpoint" => chain.endpoint(Sourced::new(value.parse().unwrap(), flag)),
        "--region" => chain.region(Sourced::new(value, flag)),
        "--cloud" => chain.cloud(Sourced::new(value.parse().unwrap(), flag)),
        "--token-file" => chain.token_file(value),
        "--auth" => chain.auth_method(match &*value {
            "metadata" => AuthMethod::Metadata,
            "aksk" => AuthMethod::AccessKey,
            "password" => AuthMethod::Password,
            _ => panic!("{value}"),
        }),
        _ => panic!("{flag}"),
    })
}

/// Returns what would be used, one item per line.
async fn describe_hosts(chain: &CredentialChain) -> String {
    let with_cause = |error: CredentialChainError| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        format!("refused: {error}{}", cause.unwrap_or_default())
    };
    let found = match chain.resolve() {
        Ok(Some(found)) => found,
        Ok(None) => return "no credentials\n".into(),
        Err(error) => return with_cause(error) + "\n",
    };
    let mut lines = Vec::new();
    let secret = found.settings().find(|setting| setting.value.is_none());
    let origin = secret.or_else(|| found.settings().next()).map_or("", |setting| setting.source);
    lines.push(format!("method    {:?} from {origin}", found.auth_method()));
    match found.hosts() {
        Ok(hosts) => {
            let hosts = [
                ("endpoint", hosts.endpoint()),
                ("identity", hosts.identity()),
                ("tokens  ", hosts.token_service()),
            ];
            for (name, host) in hosts {
                let host = host.map(|host| format!("{} from {}", host.value, host.source));
                lines.push(format!("{name}  {}", host.as_deref().unwrap_or("unknown")));
            }
        }
        Err(error) => lines.push(with_cause(error)),
    }
    let project = match (&found.project, found.project_name()) {
        (Some(id), _) => format!("id {id}"),
        (None, Some(name)) if found.has_project() => {
            format!("name {} from {}", name.value, name.source)
        }
        (None, _) => format!("unknown; set {}", found.project_source()),
    };
    lines.push(format!("project   {project}"));
    if let AuthConfig::Password(login) = &found.auth_config {
        lines.push(format!("login     {}", login.describe()));
    }
    if let Some(agency) = &found.agency {
        lines.push(format!("agency    {} of {}", agency.name, agency.domain));
    }
    if let Some(endpoint) = found.hosts().ok().and_then(ServiceHosts::endpoint) {
        lines.push(format!("requests  {}", requests(&found, &endpoint.value).await));
    }
    let settings = found.settings().map(|setting| setting.source.to_owned());
    lines.push(format!("settings  {}", settings.collect::<Vec<_>>().join(", ")));
    for IgnoredVariable { name, reason } in found.ignored() {
        lines.push(format!("ignored   {name}: {reason}"));
    }
    lines.join("\n    ") + "\n"
}

const KEY: &str = "HUAWEICLOUD_SDK_AK=AK HUAWEICLOUD_SDK_SK=canary";
const HW_KEY: &str = "HW_ACCESS_KEY=AK HW_SECRET_KEY=canary";
const LOGIN: &str = "OS_USERNAME=user OS_PASSWORD=canary OS_USER_DOMAIN_NAME=OTC1 OS_AUTH_URL=https://iam.eu-de.otc.t-systems.com:443/v3";
const OIDC: &str = "HUAWEICLOUD_OIDC_PROVIDER_URN=iam::1:provider HUAWEICLOUD_OIDC_AGENCY_URN=iam::1:agency HUAWEICLOUD_OIDC_TOKEN_FILE=~/token";
const IDP: &str = "HUAWEICLOUD_SDK_IDP_ID=idp HUAWEICLOUD_SDK_ID_TOKEN_FILE=~/token";
const POD: &str = "HC_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials HC_CONTAINER_AUTHORIZATION_TOKEN_FILE=~/token";

#[tokio::test]
async fn environments_determine_hosts_project_and_method() {
    let folder = TempFolder::new("environments");
    folder.file(
        "clouds.yaml",
        "clouds:
  otc: {region_name: eu-nl, auth: {auth_url: 'https://iam.eu-nl.otc.t-systems.com/v3', username: user, password: canary, user_domain_name: OTC1, project_name: eu-nl_x}}
  orange: {region_name: eu-west-0, auth: {auth_url: 'https://iam.eu-west-0.prod-cloud-ocb.orange-business.com/v3', token: canary, project_id: p}}
  mfa: {auth_type: v3multifactor, region_name: eu-de, auth: {user_id: u, password: canary, passcode: '123456', project_id: p}}
  mfa-half: {auth_type: v3multifactor, region_name: eu-de, auth: {user_id: u, passcode: '123456', project_id: p}}
  mfa-list: {auth_type: v3multifactor, auth_methods: [v3password, v3totp], region_name: eu-de, auth: {user_id: u, password: canary, passcode: '123456', project_id: p}}
  mfa-other: {auth_type: v3multifactor, region_name: eu-de, auth: {auth_methods: [v3password, v3oauth1], user_id: u, password: canary, passcode: '123456', project_id: p}}
  temporary: {region_name: eu-de, auth: {ak: AK, sk: canary, security_token: canary, tenant_id: p}}
  token: {region_name: eu-de, auth: {token: canary}}
  oidc: {auth_type: v3oidcpassword, auth: {username: user}}
  application: {auth: {application_credential_id: a, application_credential_secret: canary}}
",
    );
    folder.file(
        "koo.json",
        r#"{"current": "first", "profiles": [
            {"name": "first", "mode": "AKSK", "accessKeyId": "AK", "secretAccessKey": "canary", "securityToken": "",
             "region": "cn-north-4", "projectId": "p", "domainId": "d"},
            {"name": "agency", "mode": "AKSK", "accessKeyId": "AK", "secretAccessKey": "canary", "region": "eu-west-101",
             "agencyName": "ops", "agencyDomainName": "other"},
            {"name": "half-agency", "accessKeyId": "AK", "secretAccessKey": "canary", "region": "cn-north-4", "agencyName": "ops"},
            {"name": "agency-id", "accessKeyId": "AK", "secretAccessKey": "canary", "agencyName": "ops", "agencyDomainId": "d"},
            {"name": "sso", "mode": "SSO"}]}"#,
    );
    folder.file(
        "encrypted.json",
        r#"{"current": "a", "authEncrypt": "true", "profiles": [{"name": "a", "accessKeyId": "x", "secretAccessKey": "canary"}]}"#,
    );
    folder.file(
        "credentials",
        "[basic]\nak = AK\nsk = canary\niam_endpoint = https://iam.eu-west-101.myhuaweicloud.eu\n",
    );
    let token = folder.file("token", "canary");
    folder.file(
        "federated",
        &format!("[basic]\nidp_id = idp\nid_token_file = {token}\nproject_id = p\n"),
    );

    let with = |base: &str, more: &str| format!("{base} {more}");
    let lines: Vec<String> = [
        // No credentials, or only a part of them.
        String::new(),
        "OS_USERNAME=user OS_REGION_NAME=eu-de".into(),
        "HUAWEICLOUD_SDK_AK=AK".into(),
        "HUAWEICLOUD_OIDC_TOKEN_FILE=~/token".into(),
        "HUAWEICLOUD_SDK_IDP_ID=idp".into(),
        "HC_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/".into(),
        "OS_USERNAME=user OS_PASSWORD=canary OS_REGION_NAME=eu-de".into(),
        "OS_TOKEN=MIIF OS_AGENCY_NAME=ops OS_REGION_NAME=eu-de".into(),
        "OS_TOKEN=MIIF OS_DELEGATED_PROJECT=x OS_REGION_NAME=eu-de".into(),
        // The public reports.
        "OS_TOKEN=MIIF OS_REGION_NAME=eu-west-0 OS_AUTH_URL=https://iam.eu-west-0.prod-cloud-ocb.orange-business.com/v3 OS_PROJECT_ID=p".into(),
        with(LOGIN, ""),
        "OS_ACCESS_KEY=AK OS_SECRET_KEY=canary OS_SECURITY_TOKEN=canary OS_REGION_NAME=eu-de OS_PROJECT_ID=p".into(),
        // The vendor's SDKs.
        with(KEY, "--region=cn-north-4 HUAWEICLOUD_SDK_PROJECT_ID=p"),
        with(KEY, "--region=cn-north-4"),
        with(KEY, "HUAWEICLOUD_SDK_SECURITY_TOKEN=canary --region=eu-west-101 HUAWEICLOUD_SDK_DOMAIN_ID=d"),
        with(KEY, "--region=eu-west-0"),
        with(KEY, "--region=eu-west-0 --cloud=prod-cloud-ocb.orange-business.com"),
        with(KEY, "--region=ru-moscow-1 HUAWEICLOUD_SDK_REGION_CCE_RU_MOSCOW_1=https://cce.ru-moscow-1.hc.example.com"),
        with(KEY, "--region=eu-de HUAWEICLOUD_SDK_REGION_CCE_RU_MOSCOW_1=https://cce.ru-moscow-1.hc.example.com"),
        with(KEY, "HUAWEICLOUD_SDK_IAM_ENDPOINT=https://iam.cn-north-4.myhuaweicloud.com"),
        with(KEY, "HUAWEICLOUD_SDK_IAM_ENDPOINT=https://iam.myhuaweicloud.com --region=cn-east-3"),
        with(KEY, "HUAWEICLOUD_SDK_IAM_ENDPOINT=https://iam.myhuaweicloud.com"),
        with(KEY, "--endpoint=https://cce.eu-west-0.prod-cloud-ocb.orange-business.com"),
        with(KEY, "--endpoint=https://proxy.example/cce HUAWEICLOUD_SDK_PROJECT_ID=p"),
        "CLOUD_SDK_AK=AK CLOUD_SDK_SK=canary --region=cn-north-4".into(),
        with(KEY, "CLOUD_SDK_AK=OTHER CLOUD_SDK_SK=canary --region=cn-north-4"),
        "HUAWEICLOUD_SDK_CREDENTIALS_FILE=~/credentials".into(),
        "HUAWEICLOUD_SDK_CREDENTIALS_FILE=~/credentials --region=cn-north-4 --cloud=huawei".into(),
        "HUAWEICLOUD_SDK_CREDENTIALS_FILE=~/federated --region=cn-north-4".into(),
        // OpenID Connect.
        with(OIDC, "--region=cn-north-4 HUAWEICLOUD_SDK_PROJECT_ID=p"),
        with(OIDC, "--region=cn-north-4 HUAWEICLOUD_SDK_STS_ENDPOINT=https://sts.cn-south-1.myhuaweicloud.com"),
        with(OIDC, "HUAWEICLOUD_OIDC_DURATION_SECONDS=15m --region=cn-north-4"),
        with(OIDC, "HUAWEICLOUD_OIDC_ID_TOKEN=canary HUAWEICLOUD_OIDC_SESSION_NAME=s HUAWEICLOUD_OIDC_DURATION_SECONDS=900 HUAWEICLOUD_OIDC_POLICY_IDS=a,b --region=cn-north-4"),
        with(OIDC, &with(KEY, "--region=cn-north-4")),
        with(IDP, "--region=cn-north-4"),
        with(IDP, &with(KEY, "HUAWEICLOUD_SDK_IAM_ENDPOINT=https://iam.eu-west-101.myhuaweicloud.eu")),
        // Terraform.
        with(HW_KEY, "HW_REGION_NAME=cn-north-4 HW_PROJECT_ID=p"),
        with(HW_KEY, "HW_REGION_NAME=cn-north-4 HW_PROJECT_NAME=cn-north-4_x"),
        with(HW_KEY, "HW_REGION_NAME=eu-west-0 HW_CLOUD=prod-cloud-ocb.orange-business.com"),
        with(HW_KEY, "HW_REGION_NAME=ae-ad-1"),
        with(HW_KEY, "HW_REGION_NAME=ae-ad-1 HW_AUTH_URL=https://iam.ae-ad-1.g42cloud.com/v3"),
        with(HW_KEY, "HW_REGION_NAME=cn-north-4 HW_CLOUD=myhuaweicloud.eu HW_AUTH_URL=https://iam.cn-north-4.myhuaweicloud.com/v3"),
        with(HW_KEY, "HW_REGION_NAME=cn-north-4 HW_CLOUD=https://myhuaweicloud.com"),
        with(HW_KEY, "HW_REGION_NAME=eu-west-101 HW_CLOUD=huawei"),
        "OS_TOKEN=MIIF OS_REGION_NAME=eu-de OS_PROJECT_ID=p HW_CLOUD=otc".into(),
        with(HW_KEY, "HW_REGION_NAME=cn-north-4 HW_ASSUME_ROLE_AGENCY_NAME=ops HW_ASSUME_ROLE_DOMAIN_NAME=other HW_PROJECT_NAME=x"),
        with(HW_KEY, "HW_REGION_NAME=cn-north-4 HW_ASSUME_ROLE_AGENCY_NAME=ops HW_ASSUME_ROLE_DOMAIN_ID=d"),
        with(HW_KEY, "HW_REGION_NAME=cn-north-4 HW_ASSUME_ROLE_IDP_ID=idp"),
        with(HW_KEY, "HW_REGION_NAME=cn-north-4 HW_INSECURE=true HW_MAX_RETRIES=3 HW_SIGNING_ALGORITHM=SM2SM3 OS_TOKEN=MIIF"),
        "HW_AUTH_TOKEN=MIIF HW_REGION_NAME=cn-north-4".into(),
        "HW_USER_NAME=user HW_USER_PASSWORD=canary HW_DOMAIN_NAME=d HW_REGION_NAME=cn-north-4".into(),
        "HW_USER_ID=u HW_USER_PASSWORD=canary HW_REGION_NAME=cn-north-4 HW_PROJECT_NAME=x".into(),
        "HW_SHARED_CONFIG_FILE=~/koo.json".into(),
        "HW_SHARED_CONFIG_FILE=~/koo.json HW_PROFILE=agency HW_CLOUD=myhuaweicloud.eu".into(),
        "HW_SHARED_CONFIG_FILE=~/koo.json HW_SECURITY_TOKEN=canary HW_USER_NAME=user HW_PROJECT_NAME=x HW_AUTH_URL=https://iam.myhuaweicloud.com".into(),
        "HW_SHARED_CONFIG_FILE=~/koo.json HW_ASSUME_ROLE_AGENCY_NAME=ops HW_ASSUME_ROLE_DOMAIN_NAME=other".into(),
        "HW_SHARED_CONFIG_FILE=~/koo.json HW_PROFILE=half-agency HW_ASSUME_ROLE_DOMAIN_NAME=other".into(),
        "HW_SHARED_CONFIG_FILE=~/koo.json HW_PROFILE=agency-id".into(),
        "HW_SHARED_CONFIG_FILE=~/koo.json HW_PROFILE=sso".into(),
        "HW_SHARED_CONFIG_FILE=~/koo.json HW_PROFILE=none".into(),
        "HW_SHARED_CONFIG_FILE=~/encrypted.json HW_REGION_NAME=cn-north-4".into(),
        "HW_SHARED_CONFIG_FILE=~/none.json".into(),
        with(HW_KEY, "HW_REGION_NAME=cn-north-4 HW_SHARED_CONFIG_FILE=~/koo.json"),
        // OpenStack.
        "OS_TOKEN=MIIF OS_REGION_NAME=eu-de OS_PROJECT_ID=p".into(),
        "OS_AUTH_TOKEN=MIIF OS_REGION_NAME=eu-nl OS_TENANT_ID=p".into(),
        "OS_TOKEN=MIIF OS_AUTH_TOKEN=MIIG OS_REGION_NAME=eu-nl".into(),
        "OS_TOKEN=MIIF OS_REGION_NAME=cn-north-4 OS_PROJECT_ID=p".into(),
        "OS_TOKEN=MIIF OS_REGION_NAME=cn-north-4 OS_PROJECT_ID=p HW_CLOUD=myhuaweicloud.com".into(),
        "OS_TOKEN=MIIF OS_AUTH_URL=https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3".into(),
        "OS_TOKEN=MIIF OS_AUTH_URL=https://keystone.example.com:5000/v3 OS_REGION_NAME=eu-de".into(),
        "OS_TOKEN=MIIF OS_AUTH_URL=https://10.1.2.3/v3 OS_PROJECT_ID=p --endpoint=https://10.1.2.3:8443".into(),
        with(LOGIN, "OS_PROJECT_NAME=eu-de_x OS_PROJECT_DOMAIN_NAME=OTC2"),
        with(LOGIN, "OS_TENANT_NAME=eu-de_x OS_PROJECT_NAME=eu-de_y"),
        with(LOGIN, "OS_DOMAIN_NAME=OTC1"),
        with(LOGIN, "--region=eu-nl --cloud=huawei"),
        with(LOGIN, "OS_PASSCODE=123456 OS_USER_ID=u OS_AUTH_TYPE=v3multifactor"),
        with(LOGIN, "OS_AUTH_TYPE=v3totp"),
        "OS_AUTH_TYPE=v3totp OS_USERNAME=user OS_PASSCODE=123456".into(),
        "OS_AUTH_TYPE=v3multifactor OS_TOKEN=MIIF".into(),
        with(LOGIN, "OS_AUTH_TYPE=v3oidcaccesstoken OS_ACCESS_TOKEN=canary"),
        with(LOGIN, "OS_AUTH_TYPE=v3multifactor OS_AUTH_METHODS=v3password,v3oauth1 OS_PASSCODE=1"),
        with(LOGIN, "OS_TOKEN=MIIF OS_AUTH_TYPE=v3password"),
        with(LOGIN, "OS_APPLICATION_CREDENTIAL_ID=a OS_APPLICATION_CREDENTIAL_SECRET=canary"),
        with(LOGIN, "OS_AGENCY_NAME=ops OS_AGENCY_DOMAIN_NAME=other OS_DELEGATED_PROJECT=eu-de_x"),
        "OS_USERNAME=user OS_PASSWORD=canary OS_USER_DOMAIN_ID=d OS_REGION_NAME=eu-de OS_INTERFACE=public".into(),
        "OS_USERNAME=user OS_PASSWORD=canary OS_DOMAIN_NAME=OTC1 OS_REGION_NAME=eu-de OS_INSECURE=1".into(),
        "OS_CLOUD=otc OS_CLIENT_CONFIG_FILE=~/clouds.yaml".into(),
        "OS_CLOUD=orange OS_CLIENT_CONFIG_FILE=~/clouds.yaml OS_TOKEN=MIIF".into(),
        "OS_CLOUD=mfa OS_CLIENT_CONFIG_FILE=~/clouds.yaml".into(),
        "OS_CLOUD=mfa-half OS_CLIENT_CONFIG_FILE=~/clouds.yaml".into(),
        "OS_CLOUD=mfa-list OS_CLIENT_CONFIG_FILE=~/clouds.yaml".into(),
        "OS_CLOUD=mfa-other OS_CLIENT_CONFIG_FILE=~/clouds.yaml".into(),
        "OS_CLOUD=temporary OS_CLIENT_CONFIG_FILE=~/clouds.yaml".into(),
        "OS_CLOUD=token OS_CLIENT_CONFIG_FILE=~/clouds.yaml".into(),
        "OS_CLOUD=token OS_CLIENT_CONFIG_FILE=~/clouds.yaml OS_PROJECT_ID=p".into(),
        "OS_CLOUD=application OS_CLIENT_CONFIG_FILE=~/clouds.yaml".into(),
        // Flags, and several conventions.
        "--token-file=~/token --region=eu-de HW_PROJECT_ID=p".into(),
        "--token-file=~/token --region=cn-north-4 HW_PROJECT_ID=p".into(),
        "--token-file=~/token --region=cn-north-4 --cloud=huawei".into(),
        "--token-file=~/token --endpoint=https://cce.cn-north-4.myhuaweicloud.com".into(),
        "--auth=aksk OS_TOKEN=MIIF OS_ACCESS_KEY=AK OS_SECRET_KEY=canary OS_REGION_NAME=eu-de".into(),
        with(HW_KEY, "OS_APPLICATION_CREDENTIAL_ID=a HW_REGION_NAME=cn-north-4 HW_PROJECT_ID=p"),
        "HW_ASSUME_ROLE_DOMAIN_ID=d OS_TOKEN=MIIF OS_REGION_NAME=eu-de OS_PROJECT_ID=p".into(),
        "OS_ACCESS_TOKEN=canary HUAWEICLOUD_SDK_CREDENTIALS_FILE=~/credentials".into(),
        with(POD, "OS_TRUST_ID=t --region=cn-north-4"),
        "OS_AUTH_TYPE=v3applicationcredential HUAWEICLOUD_SDK_CREDENTIALS_FILE=~/credentials".into(),
        with(POD, "OS_AUTH_TYPE=v3oidcpassword --region=cn-north-4"),
        with(POD, "OS_AUTH_TYPE=v3totp OS_USERNAME=user OS_PASSCODE=123456 --region=cn-north-4"),
        with(POD, "OS_AUTH_TYPE=v3multifactor OS_AUTH_METHODS=v3oauth1 --region=cn-north-4"),
        with(POD, "OS_AUTH_TYPE=v3oidcpassword OS_TOKEN=MIIF --region=cn-north-4"),
        with(POD, "OS_PROJECT_ID=p OS_TENANT_ID=q --region=cn-north-4"),
        "--token-file=~/token --region=eu-de OS_AUTH_TYPE=v3oidcpassword".into(),
        "--token-file=~/token --region=eu-de OS_CLOUD=application OS_CLIENT_CONFIG_FILE=~/clouds.yaml".into(),
        "OS_AUTH_TYPE=v3applicationcredential OS_REGION_NAME=eu-de".into(),
        "OS_CLOUD=oidc OS_CLIENT_CONFIG_FILE=~/clouds.yaml".into(),
        "OS_TRUST_ID=t --token-file=~/token --region=eu-de".into(),
        "OS_APPLICATION_CREDENTIAL_ID=a OS_REGION_NAME=eu-de".into(),
        "HW_ASSUME_ROLE_IDP_ID=idp HW_REGION_NAME=cn-north-4".into(),
        with(POD, "--region=cn-north-4"),
        with(POD, &with(HW_KEY, "HW_REGION_NAME=cn-north-4")),
        "--auth=metadata --region=cn-north-4 HUAWEICLOUD_SDK_PROJECT_ID=p".into(),
        with(KEY, "--auth=metadata --region=cn-north-4"),
    ]
    .into();
    assert!(lines.len() >= 60, "{}", lines.len());
    let mut shown = String::new();
    for line in lines {
        let described = describe_hosts(&chain(&line, &folder)).await.replace(folder.path(), "~");
        assert!(!described.contains("canary"), "{line}: {described}");
        shown += &format!("{line}\n    {described}\n");
    }
    insta::assert_snapshot!(shown);
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_utf8_are_errors_if_they_are_used() {
    use std::os::unix::ffi::OsStringExt;

    let folder = TempFolder::new("not-utf8");
    folder.file("credentials", "[basic]\nak = AK\nsk = canary\nproject_id = p\n");
    // The variables, with ! for a byte that is not UTF-8, and the variable that is refused or the
    // origin of the credentials.
    let rows = [
        ("OS_TOKEN=!canary", Err("OS_TOKEN")),
        ("OS_TOKEN=canary OS_AUTH_TYPE=!", Err("OS_AUTH_TYPE")),
        ("OS_AUTH_TYPE=!", Err("OS_AUTH_TYPE")),
        ("OS_TOKEN=canary OS_PROJECT_ID=p!", Err("OS_PROJECT_ID")),
        ("OS_TOKEN=canary OS_AUTH_TOKEN=canary!", Err("OS_AUTH_TOKEN")),
        ("OS_TOKEN=canary OS_CACERT=/ca!", Err("OS_CACERT")),
        ("OS_USERNAME=user OS_PASSWORD=canary! OS_USER_DOMAIN_NAME=d", Err("OS_PASSWORD")),
        ("HUAWEICLOUD_SDK_AK=AK HUAWEICLOUD_SDK_SK=canary!", Err("HUAWEICLOUD_SDK_SK")),
        ("HUAWEICLOUD_SDK_CREDENTIALS_FILE=/!", Err("HUAWEICLOUD_SDK_CREDENTIALS_FILE")),
        (
            "HUAWEICLOUD_SDK_CREDENTIALS_FILE=~/credentials HUAWEICLOUD_SDK_IAM_ENDPOINT=https://!",
            Err("HUAWEICLOUD_SDK_IAM_ENDPOINT"),
        ),
        ("OS_CLOUD=!", Err("OS_CLOUD")),
        ("OS_CLOUD=otc OS_CLIENT_CONFIG_FILE=/!", Err("OS_CLIENT_CONFIG_FILE")),
        ("OS_TOKEN=canary HW_CLOUD=!", Err("HW_CLOUD")),
        ("HW_AUTH_TOKEN=canary HW_REGION_NAME=eu!", Err("HW_REGION_NAME")),
        // Variables of other sources, and those that other authentication methods use.
        ("HUAWEICLOUD_SDK_CREDENTIALS_FILE=~/credentials OS_REGION_NAME=!", Ok("ak")),
        ("HUAWEICLOUD_SDK_CREDENTIALS_FILE=~/credentials OS_USERNAME=!", Ok("ak")),
        ("HW_AUTH_TOKEN=canary OS_TOKEN=!", Ok("HW_AUTH_TOKEN")),
        ("OS_TOKEN=canary OS_PASSWORD=!", Ok("OS_TOKEN")),
        ("OS_TOKEN=canary HW_INSECURE=!", Ok("OS_TOKEN")),
    ];
    for (line, expected) in rows {
        let variables = line.split_whitespace().filter_map(|word| word.split_once('='));
        let chain = CredentialChain::from_os_values(variables.map(|(name, value)| {
            let mut value = value.replace('~', folder.path()).into_bytes();
            value.iter_mut().filter(|byte| **byte == b'!').for_each(|byte| *byte = 0xff);
            (name.to_owned(), OsString::from_vec(value))
        }));
        match (chain.resolve(), expected) {
            (Ok(found), Ok(origin)) => {
                let found = found.unwrap();
                assert!(found.settings().next().unwrap().source.ends_with(origin), "{line}");
            }
            (Err(error), Err(name)) => {
                assert_eq!(error.to_string(), format!("{name} is not valid UTF-8"), "{line}");
            }
            (found, _) => panic!("{line}: {found:?}"),
        }
    }
    let endpoint = "HUAWEICLOUD_SDK_REGION_CCE_EU_DE".to_owned();
    let variables = [(endpoint.clone(), OsString::from_vec(b"cce.example/\xff".into()))];
    let region = Sourced::new("eu-de".to_owned(), "--region");
    let chain = CredentialChain::from_os_values(variables.into_iter()).region(region);
    assert_eq!(chain.hosts().unwrap_err().to_string(), endpoint);
}

#[test]
fn every_known_variable_is_used_refused_or_listed() {
    for name in names::known_variables().filter(|name| *name != "HOME") {
        // A file variable would make another source the first.
        if names::FILES.contains(&name) {
            continue;
        }
        let base = if name.starts_with("OS_") {
            "OS_TOKEN=t OS_REGION_NAME=eu-de"
        } else {
            "HW_AUTH_TOKEN=t HW_REGION_NAME=cn-north-4"
        };
        let line = format!("{base} {name}=value.example");
        let found = match chain(&line, &TempFolder::new("variables")).resolve() {
            Ok(found) => found.expect("a token"),
            Err(error) => {
                assert!(error.to_string().contains(name), "{name}: {error}");
                continue;
            }
        };
        let is_used = found.settings().any(|setting| setting.source == name);
        let is_host = found.hosts().is_ok_and(|hosts| {
            hosts.endpoint().is_some_and(|endpoint| endpoint.source.contains(name))
        });
        let is_listed = found.ignored().any(|ignored| ignored.name == name);
        assert!(is_used || is_host || is_listed, "{name}");
    }
}

/// Returns the result for a cloud whose setting has this name below `clouds.otc`.
fn resolve_cloud_with(setting: &str, folder: &TempFolder) -> String {
    let (above, name) = setting.split_once('.').unwrap_or(("", setting));
    let cloud = match above {
        "" => format!("{{{name}: value, auth: {{token: t}}}}"),
        _ => format!("{{auth: {{{name}: value}}}}"),
    };
    let file = folder.file("clouds.yaml", &format!("clouds: {{otc: {cloud}}}"));
    let chain = CredentialChain::new([("OS_CLOUD", "otc"), ("OS_CLIENT_CONFIG_FILE", &file)]);
    match chain.values(ChainSource::OpenStack) {
        Ok(values) => {
            let values = values.unwrap();
            let fault = values.any_fault().map(|error| error.to_string());
            let origins = values.values.into_values().map(|(_, origin)| origin);
            origins.chain(fault).map(|line| line + "\n").collect()
        }
        Err(error) => error.to_string() + "\n",
    }
}

#[test]
fn clouds_yaml_has_the_settings_of_the_variables() {
    let folder = TempFolder::new("twins");
    for (field, variable) in names::OPEN_STACK {
        let setting = names::CLOUDS_YAML.iter().find(|(known, _)| known == field);
        let (_, setting) = setting.unwrap_or_else(|| panic!("{variable} has no setting"));
        let found = resolve_cloud_with(setting, &folder);
        assert!(found.contains(&format!("clouds.otc.{setting}\n")), "{setting}: {found}");
    }
    for (variable, reason) in names::REFUSED_OPEN_STACK {
        let setting = variable.replace("OS_", "auth.").to_lowercase();
        let found = resolve_cloud_with(&setting, &folder);
        let reason = reason.replace("OS_AGENCY_DOMAIN_NAME", "auth.agency_domain_name");
        let reason = reason.replace("OS_PROJECT_NAME", "auth.project_name");
        let expected = format!("clouds.otc.{setting} is not supported: {reason}\n");
        assert!(found.ends_with(&expected), "{setting}: {found}");
    }
}
