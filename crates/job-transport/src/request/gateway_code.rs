//! Error codes of the API gateway.

use job_model::ServiceError;

/// Returns whether an error body has the gateway's code with this number.
///
/// The documents of some clouds and regions write `APIGW.0301`, those of others `APIG.0301`.
pub(crate) fn has_gateway_code(error: &ServiceError, number: &str) -> bool {
    error.codes().iter().any(|code| {
        let (family, of_code) = code.split_once('.').unwrap_or_default();
        matches!(family, "APIGW" | "APIG") && of_code == number
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_the_family_are_recognized() {
        let rows = [
            ("APIGW.0301", true),
            ("APIG.0301", true),
            ("APIGW.0302", false),
            ("APIGX.0301", false),
            ("CCE.0301", false),
            ("0301", false),
        ];
        for (code, expected) in rows {
            let body = format!(r#"{{"error_code": "{code}"}}"#);
            let error = ServiceError::from_body(401, None, body.as_bytes()).unwrap();
            assert_eq!(has_gateway_code(&error, "0301"), expected, "{code}");
        }
    }
}
