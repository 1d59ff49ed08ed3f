//! Tests which cause the service's words state, and which time.

use super::*;

fn error(code: &str, message: &str) -> ServiceError {
    let body = serde_json::json!({"error_code": code, "error_msg": message}).to_string();
    ServiceError::from_body(401, None, body.as_bytes()).unwrap()
}

#[test]
fn words_of_the_service_state_the_cause() {
    use RefusalCause::*;
    const PREFIX: &str = "Incorrect IAM authentication information: ";
    let rows = [
        ("verify aksk signature fail", WrongSignature),
        ("Unauthorized", WrongSignature),
        ("Get secretKey failed,ak:XYZ,err:ak not exist", UnknownKey),
        ("no such access key", UnknownKey),
        ("AK access failed to reach the limit,forbidden", KeyLocked),
        ("too many wrong signatures; the access key is locked", KeyLocked),
        ("signature expired, signature time:20230221T021030Z", Clock),
        ("the signature is expired", Clock),
        ("securityToken expires", TemporaryKeyExpired),
        ("decrypt token fail", TemporaryKeyExpired),
        ("the account is frozen", AccountFrozen),
        // A job's id in the canonical request is not the service's word.
        (
            "verify aksk signature fail, the canonical request is: GET|/jobs/locked/|",
            WrongSignature,
        ),
        ("x, the canonical request is: GET|/jobs/frozen/|", WrongSignature),
    ];
    for (words, expected) in rows {
        for code in ["APIGW.0301", "APIG.0301"] {
            let error = error(code, &format!("{PREFIX}{words}"));
            assert_eq!(RefusalCause::from_service_error(Some(&error)), expected, "{code} {words}");
        }
    }
    let of_body = |body: &str| {
        RefusalCause::from_service_error(
            ServiceError::from_body(401, None, body.as_bytes()).as_ref(),
        )
    };
    let rows = [
        ("", Unexplained),
        ("{}", Unexplained),
        ("<title>401</title>", Unexplained),
        (r#"{"message": "no"}"#, Unexplained),
        (r#"{"error_code": "APIGW.0307", "error_msg": "token expired"}"#, Other),
        // A body that was cut off.
        (r#"{"error_code": "APIG.0301", "error_msg": "Incorre"#, WrongSignature),
        (r#"{"error_code": "API"#, Unexplained),
    ];
    for (body, expected) in rows {
        assert_eq!(of_body(body), expected, "{body}");
    }
}

#[test]
fn a_stated_server_time_is_found() {
    let signed_at = "2023-02-21T02:10:30Z".parse().unwrap();
    let rows = [
        ("signature expired, signature time:20230221T021030Z, server time:20230221T022630Z", true),
        ("server time: 2023-02-21T02:26:30Z, signature time: 2023-02-21T02:10:30Z", true),
        ("server time (UTC) is 2023-02-21 02:26:30", true),
        ("signature 20230221T021030Z expired at 20230221T022630Z", true),
        ("signature 20230221T021030Z expired", false),
        ("20230221T022630Z or 20230221T022631Z", false),
        ("server time: 20231321T022630Z", false),
        ("server time: ü20230221", false),
        ("the canonical request is: server 20230221T022630Z", false),
    ];
    for (message, is_stated) in rows {
        let expected = is_stated.then(|| "2023-02-21T02:26:30Z".parse().unwrap());
        assert_eq!(
            stated_server_time(&error("APIGW.0301", message), signed_at),
            expected,
            "{message}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn never_panics_on_any_text(text in "(server |[0-9TZ:. -]|ü|canonical request|\\PC){0,80}") {
        let error = error("APIGW.0301", &text);
        let _ = RefusalCause::from_service_error(Some(&error));
        let _ = stated_server_time(&error, Timestamp::UNIX_EPOCH);
    }
}

#[test]
fn each_cause_has_a_stable_word() {
    let rows = [
        (RefusalCause::WrongSignature, "wrong_signature"),
        (RefusalCause::UnknownKey, "unknown_key"),
        (RefusalCause::KeyLocked, "key_locked"),
        (RefusalCause::Clock, "clock"),
        (RefusalCause::TemporaryKeyExpired, "temporary_key_expired"),
        (RefusalCause::AccountFrozen, "account_frozen"),
        (RefusalCause::Other, "other"),
        (RefusalCause::Unexplained, "unexplained"),
    ];
    for (cause, word) in rows {
        assert_eq!(cause.as_str(), word);
    }
}
