//! Tests which hosts result from the settings, and that every host is allowed to receive the
//! credentials.

use proptest::{option, prelude::*, sample::select};

use super::*;

fn url(text: &str, source: &str) -> Sourced<Endpoint> {
    Sourced::new(text.parse().unwrap(), source)
}

/// Returns the settings for a line such as `--region=eu-de OS_AUTH_URL=https://..`.
fn settings(line: &str) -> HostSettings {
    let mut settings = HostSettings { table: RegionTable::All, ..HostSettings::default() };
    for word in line.split_whitespace() {
        let (source, value) = word.split_once('=').unwrap_or((word, ""));
        match source {
            "--endpoint" => settings.endpoint = Some(url(value, source)),
            "--region" | "OS_REGION_NAME" => {
                settings.region = Some(Sourced::new(value.to_owned(), source));
            }
            "--cloud" => settings.clouds.push(Sourced::new(value.parse().unwrap(), source)),
            "HW_CLOUD" => {
                let cloud: CloudDomain = value.parse().unwrap();
                settings.clouds.push(Sourced::new(cloud, source));
            }
            "OS_AUTH_URL" => settings.identity = Some(url(value, source)),
            "STS" => settings.token_service = Some(url(value, source)),
            "OS" => settings.table = RegionTable::OpenTelekomOnly,
            name => {
                let _ = settings.region_endpoints.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    settings
}

/// Returns the hosts with their origins, or the error.
fn describe(settings: &HostSettings) -> String {
    let hosts = match settings.hosts() {
        Ok(hosts) => hosts,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            return format!("error: {error}{}\n", cause.unwrap_or_default());
        }
    };
    let row = |name: &str, host: Option<&Sourced<Endpoint>>| match host {
        Some(Sourced { value, source }) => format!("  {name} {value} from {source}\n"),
        None => format!("  {name} none\n"),
    };
    let region = hosts.region().map(|region| format!(" {} from {}", region.value, region.source));
    format!("region{}\n", region.unwrap_or_else(|| " none".into()))
        + &row("endpoint", hosts.endpoint())
        + &row("identity", hosts.identity())
        + &row("tokens", hosts.token_service())
}

#[test]
fn settings_determine_hosts_or_are_refused() {
    let lines = [
        "",
        "--region=eu-de",
        "OS OS_REGION_NAME=eu-de",
        "OS OS_REGION_NAME=cn-north-4",
        "--region=cn-north-4",
        "--region=eu-west-101",
        "--region=eu-west-0",
        "--region=EU-DE",
        "--region=eu-de --cloud=huawei",
        "--region=eu-west-133 --cloud=huawei",
        "--region=eu-west-0 --cloud=prod-cloud-ocb.orange-business.com",
        "--region=region1 HW_CLOUD=hcs.example",
        "--region=eu-de --cloud=otc HW_CLOUD=myhuaweicloud.com",
        "--region=eu-de --cloud=otc HW_CLOUD=OTC.t-systems.com",
        // The cases of public reports.
        "OS OS_REGION_NAME=eu-west-0 OS_AUTH_URL=https://iam.eu-west-0.prod-cloud-ocb.orange-business.com/v3",
        "OS OS_AUTH_URL=https://iam.eu-de.otc.t-systems.com:443/v3",
        "OS OS_AUTH_URL=https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3",
        // Other identity hosts.
        "OS OS_AUTH_URL=https://IAM.EU-DE.otc.t-systems.com/v3",
        "OS OS_AUTH_URL=https://iam.myhuaweicloud.com/v3",
        "OS OS_AUTH_URL=https://iam.myhuaweicloud.com/v3 OS_REGION_NAME=cn-north-4",
        "OS OS_AUTH_URL=https://iam.eu-de.otc.t-systems.com/v3 --region=eu-nl",
        "OS OS_AUTH_URL=https://iam.eu-de.otc.t-systems.com/v3 --region=eu-nl --cloud=huawei",
        "OS OS_AUTH_URL=https://iam.eu-west-101.myhuaweicloud.eu HW_CLOUD=myhuaweicloud.com",
        "OS OS_AUTH_URL=https://iam.ae-ad-1.g42cloud.com/v3",
        "OS OS_AUTH_URL=https://iam.my-co.co.uk/v3 --region=eu-de",
        "OS OS_AUTH_URL=https://iam.my-co.co.uk/v3 --region=eu-de --cloud=co.uk",
        "OS OS_AUTH_URL=https://iam.region1.hcs.example.com OS_REGION_NAME=region1",
        "OS OS_AUTH_URL=https://iam.region1.hcs.example.com",
        "OS OS_AUTH_URL=https://iam.eu-de.otc.t-systems.com.evil.example/v3",
        "OS OS_AUTH_URL=https://iam.eu-de.evilotc.t-systems.com/v3 --region=eu-nl",
        "OS OS_AUTH_URL=https://iam.eu-de.otc.t-systems.com:8443/v3 --region=eu-de",
        "OS OS_AUTH_URL=https://10.0.0.1/v3 --region=eu-de --cloud=otc",
        "OS OS_AUTH_URL=https://[2001:db8::1]/v3 --region=eu-de",
        "OS OS_AUTH_URL=http://127.0.0.1:5000/v3",
        "OS OS_AUTH_URL=https://keystone.example.com/v3",
        "OS OS_AUTH_URL=https://iam.example/v3",
        "OS OS_AUTH_URL=https://iam.eu-de.otc.t-systems.com./v3",
        // An endpoint that is set.
        "--endpoint=https://cce.eu-de.otc.t-systems.com",
        "--endpoint=https://cce.eu-de.otc.t-systems.com HW_CLOUD=myhuaweicloud.com",
        "--endpoint=https://cce.example.com:8443/prefix",
        "--endpoint=https://cce.example.com OS_REGION_NAME=cn-north-4",
        // The region is the one that is named, then that of the endpoint, then that of the identity
        // service.
        "--endpoint=https://cce.my-co.co.uk OS_REGION_NAME=region1",
        "--endpoint=https://cce.my-co.co.uk OS_AUTH_URL=https://iam.region1.hcs.example.com OS_REGION_NAME=region1",
        "--endpoint=https://cce.eu-nl.otc.t-systems.com OS_AUTH_URL=https://iam.eu-de.otc.t-systems.com/v3",
        "--endpoint=https://proxy.example/cce OS_AUTH_URL=https://iam.eu-de.otc.t-systems.com/v3 OS_REGION_NAME=eu-nl",
        "OS_REGION_NAME=region1 HUAWEICLOUD_SDK_REGION_CCE_REGION1=https://cce.my-co.co.uk",
        "--endpoint=https://proxy.example/cce OS_REGION_NAME=cn-north-4 HW_CLOUD=myhuaweicloud.com",
        "--endpoint=http://127.0.0.1:8080 OS_AUTH_URL=http://127.0.0.1:8080/v3",
        "--endpoint=https://proxy.example/cce OS_AUTH_URL=https://iam.eu-de.otc.t-systems.com/v3",
        "--endpoint=https://proxy.example/cce OS_AUTH_URL=https://iam.myhuaweicloud.com/v3 OS_REGION_NAME=cn-north-4",
        "--endpoint=https://proxy.example/cce --cloud=otc HW_CLOUD=myhuaweicloud.com OS_REGION_NAME=eu-de",
        // Variables for single regions.
        "--region=eu-west-0 HUAWEICLOUD_SDK_REGION_CCE_EU_WEST_0=https://cce.eu-west-0.prod-cloud-ocb.orange-business.com,https://b.example",
        "--region=eu-west-0 HUAWEICLOUD_SDK_REGION_CCE_EU_WEST_0=cce.internal.example",
        "--region=eu-west-0 HUAWEICLOUD_SDK_REGION_CCE_EU_WEST_0=http://cce.example",
        "--region=eu-de HUAWEICLOUD_SDK_REGION_CCE_EU_WEST_0=https://cce.example",
        // A token service.
        "--region=eu-de STS=https://sts.example",
        "STS=https://sts.example",
    ];
    let shown = lines.map(|line| format!("{line}\n{}\n", describe(&settings(line))));
    insta::assert_snapshot!(shown.concat());
}

/// Returns whether a host was given, or lies in a domain that was given. Written without the
/// functions that derive the hosts.
fn is_allowed(host: &str, settings: &HostSettings, region: Option<&str>) -> bool {
    let below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let given = [&settings.endpoint, &settings.identity, &settings.token_service];
    let given: Vec<String> = given.into_iter().flatten().map(|url| url.value.host()).collect();
    let of_region = settings.region_endpoints.values().filter_map(|url| url.parse().ok());
    let is_given = given.iter().cloned().chain(of_region.map(|url: Endpoint| url.host()));
    let is_given = is_given.collect::<Vec<_>>();
    // The host of a service without its first label.
    let beside = is_given.iter().any(|given| {
        let (service, rest) = given.split_once('.').unwrap_or(("", ""));
        ["iam", "iam-pub", "cce"].contains(&service) && rest.contains('.') && below(rest)
    });
    // An operator of several regions.
    let domains = [
        "myhuaweicloud.com",
        "myhuaweicloud.eu",
        "otc.t-systems.com",
        "sc.otc.t-systems.com",
        "prod-cloud-ocb.orange-business.com",
    ];
    // The longest domain counts: sc.otc.t-systems.com is not the operator of otc.t-systems.com.
    let operator_of = |host: &str| {
        let above = domains.iter().filter(|domain| host.ends_with(&format!(".{domain}")));
        above.max_by_key(|domain| domain.len())
    };
    let operator = operator_of(host)
        .is_some_and(|own| is_given.iter().any(|given| operator_of(given) == Some(own)));
    let region = region.unwrap_or_default();
    let cloud = settings.clouds.iter().any(|cloud| match &cloud.value {
        CloudDomain::Named(cloud) => below(cloud.domain(region)),
        CloudDomain::Domain(domain) => below(domain),
    });
    let of_table = match (region, settings.table) {
        ("cn-north-4", RegionTable::All) => Some("myhuaweicloud.com"),
        ("eu-west-101", RegionTable::All) => Some("myhuaweicloud.eu"),
        ("eu-de" | "eu-nl", _) => Some("otc.t-systems.com"),
        _ => None,
    };
    let is_alone =
        given.iter().all(|given| given.starts_with("sts.")) && settings.clouds.is_empty();
    let table = is_alone && of_table.is_some_and(below);
    is_given.iter().any(|given| given == host) || beside || operator || cloud || table
}

prop_compose! {
    fn any_settings()(
        endpoint in option::weighted(0.3, select(vec![
            "https://cce.eu-de.otc.t-systems.com", "https://cce.eu-west-0.prod-cloud-ocb.orange-business.com",
            "https://cce.my-co.co.uk", "https://proxy.example/cce", "https://127.0.0.1:8443", "https://cce.example.com:444",
        ])),
        region in option::weighted(0.8, select(vec![
            "eu-de", "eu-nl", "cn-north-4", "eu-west-101", "eu-west-0", "ru-moscow-1", "my-co", "region1", "otc", "a.b",
        ])),
        identity in option::of(select(vec![
            "https://iam.eu-de.otc.t-systems.com:443/v3", "https://iam.eu-de.otc.t-systems.com:8443/v3",
            "https://iam.myhuaweicloud.com/v3", "https://iam.eu-west-101.myhuaweicloud.eu/v3",
            "https://iam.eu-west-0.prod-cloud-ocb.orange-business.com/v3", "https://iam.my-co.co.uk/v3",
            "https://iam-pub.eu-ch2.sc.otc.t-systems.com", "https://iam.sc.otc.t-systems.com", "https://iam.eu-de.notc.t-systems.com",
            "https://iam.region1.hcs.example.com", "https://keystone.example.com", "https://10.0.0.1/v3",
            "https://iam.example", "https://iam.cn-north-4.myhuaweicloud.com.evil.example/v3",
        ])),
        clouds in proptest::collection::vec(select(vec![
            "otc", "huawei", "myhuaweicloud.com", "myhuaweicloud.eu", "otc.t-systems.com", "co.uk",
            "prod-cloud-ocb.orange-business.com", "hcs.example.com",
        ]), 0..=2),
        region_endpoint in option::weighted(0.2, select(vec![
            ("EU_DE", "https://cce.eu-de.internal.example"), ("EU_WEST_0", "https://cce.other.example:8443"),
        ])),
        sts in option::weighted(0.2, select(vec!["https://sts.cn-north-4.myhuaweicloud.com", "https://sts.example"])),
        table in select(vec![RegionTable::All, RegionTable::OpenTelekomOnly]),
    ) -> HostSettings {
        let clouds = clouds.iter().zip(["--cloud", "HW_CLOUD"]);
        HostSettings {
            endpoint: endpoint.map(|text| url(text, "--endpoint")),
            region: region.map(|region| Sourced::new(region.to_owned(), "--region")),
            identity: identity.map(|text| url(text, "OS_AUTH_URL")),
            clouds: clouds.map(|(cloud, from)| Sourced::new(cloud.parse().unwrap(), from)).collect(),
            region_endpoints: region_endpoint
                .map(|(region, text)| (format!("{REGION_ENDPOINT}{region}"), text.to_owned()))
                .into_iter()
                .collect(),
            token_service: sts.map(|text| url(text, "STS")),
            table,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn every_host_was_given_or_is_in_a_domain_that_was_given(settings in any_settings()) {
        let Ok(hosts) = settings.hosts() else { return Ok(()) };
        let region = hosts.region().map(|region| &*region.value);
        let all = [hosts.endpoint(), hosts.identity(), hosts.token_service()];
        for host in all.into_iter().flatten() {
            let name = host.value.host();
            prop_assert!(is_allowed(&name, &settings, region), "{name} from {}", host.source);
        }
        // What was given is used as it is.
        if let Some(given) = &settings.endpoint {
            prop_assert_eq!(hosts.endpoint(), Some(given));
        }
        if let Some(given) = &settings.identity {
            prop_assert_eq!(hosts.identity(), Some(given));
        }
    }

    #[test]
    fn clouds_that_disagree_are_refused(settings in any_settings()) {
        let HostSettings { endpoint: None, region: Some(region), clouds, .. } = &settings else {
            return Ok(());
        };
        let domains: Vec<_> = clouds.iter().map(|cloud| cloud.value.domain(&region.value)).collect();
        let has_endpoint = settings.region_endpoint(region).is_ok_and(|found| found.is_some());
        if domains.len() == 2 && domains[0] != domains[1] && !has_endpoint {
            prop_assert!(settings.hosts().is_err());
        }
    }
}
