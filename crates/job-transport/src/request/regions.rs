//! Which operator a region belongs to. The name of a region does not state that, so only the
//! regions are listed that a single operator has.

/// The regions of Huawei Cloud under `myhuaweicloud.com`, from the vendor's SDK
/// (`huaweicloudsdkcce` 3.1.219, `v3/region/cce_region.py`).
///
/// That list has five regions more, which sister clouds also have: `eu-west-0` (FlexibleEngine),
/// `ae-ad-1`, `ru-moscow-1`, `ru-northwest-2` and `my-kualalumpur-1`.
const HUAWEI_REGIONS: [&str; 27] = [
    "af-north-1",
    "af-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "cn-east-2",
    "cn-east-3",
    "cn-east-4",
    "cn-east-5",
    "cn-north-1",
    "cn-north-11",
    "cn-north-12",
    "cn-north-2",
    "cn-north-4",
    "cn-north-9",
    "cn-south-1",
    "cn-south-2",
    "cn-south-4",
    "cn-southwest-2",
    "la-north-2",
    "la-south-2",
    "me-east-1",
    "na-mexico-1",
    "sa-brazil-1",
    "tr-west-1",
];

/// The regions of Open Telekom Cloud.
const OPEN_TELEKOM_REGIONS: [&str; 2] = ["eu-de", "eu-nl"];

/// Returns whether only Huawei Cloud has the region.
pub(super) fn is_huawei(region: &str) -> bool {
    HUAWEI_REGIONS.contains(&region) || is_european(region)
}

/// Returns whether only Open Telekom Cloud has the region.
pub(super) fn is_open_telekom(region: &str) -> bool {
    OPEN_TELEKOM_REGIONS.contains(&region)
}

/// Returns whether Huawei Cloud has the region under `myhuaweicloud.eu`: `eu-west-1xx`.
pub(super) fn is_european(region: &str) -> bool {
    let number = region.strip_prefix("eu-west-1").unwrap_or_default();
    number.len() == 2 && number.bytes().all(|c| c.is_ascii_digit())
}
