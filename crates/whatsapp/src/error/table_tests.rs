//! The codes of Meta's documentation, and those that it does not know.

use super::*;
use crate::error::NO_CODE;

/// What an HTTP status alone says.
const STATUSES: &[(u16, ErrorClass)] = &[
    (200, Ambiguous),
    (301, StopChannel),
    (302, StopChannel),
    (308, StopChannel),
    (400, Final),
    (401, StopChannel),
    (402, Final),
    (403, StopChannel),
    (404, StopChannel),
    (405, StopChannel),
    (406, Final),
    (407, StopChannel),
    (408, Ambiguous),
    (409, Final),
    (413, Final),
    (429, WaitNumber),
    (499, Final),
    (500, Ambiguous),
    (503, Ambiguous),
    (999, Ambiguous),
];

fn error(code: i64) -> GraphError {
    read(&format!(r#"{{"code":{code}}}"#))
}

fn read(json: &str) -> GraphError {
    GraphError::from_json(json).unwrap()
}

#[test]
fn the_documented_codes() {
    for (codes, class) in [
        (
            &[0, 190, 3, 10, 200, 299, 131_005, 131_048, 368, 131_031, 130_497, 131_042, 134_011][..],
            StopChannel,
        ),
        (
            &[131_045, 133_010, 133_006, 131_037, 133_000, 133_005, 133_008, 133_009, 133_015, 133_016],
            StopChannel,
        ),
        (&[33], StopChannel),
        (&[4, 80_007, 613], WaitApp),
        (&[130_429], WaitNumber),
        (&[131_056], WaitPair),
        (&[131_057, 2_494_100], WaitMaintenance),
        (&[131_000, 131_016, 1, 2, 133_004], Ambiguous),
        (&[131_064, 131_049, 131_050, 130_472, 130_403, 131_047, 131_026], Final),
        (&[131_051, 131_008, 131_009, 100, 131_021, 135_000], Final),
        (&[131_062, 131_063, 131_055, 134_100, 134_102, 131_052, 131_053], Final),
        (&[132_000, 132_001, 132_005, 132_007, 132_012, 132_015, 132_016, 132_018, 132_068, 132_069], Final),
        (&[131_020, 131_041, 131_059, 131_200, 138_000, 139_100], Final),
        (&[134_101], Replay),
    ] {
        for code in codes {
            assert_eq!(classify(&error(*code), Some(400)), class, "{code}");
            assert_eq!(classify(&error(*code), Some(500)), class, "{code}: the HTTP status does not decide");
            assert_ne!(reason(*code), "unknown", "{code}");
        }
    }
}

#[test]
fn an_unknown_code_is_never_repeated_blindly() {
    let transient = GraphError { is_transient: true, ..error(999_999) };
    assert_eq!(classify(&transient, Some(400)), Ambiguous);
    assert_eq!(classify(&transient, Some(401)), StopChannel, "a refused credential never sends");
    for code in [999_999, NO_CODE] {
        assert_eq!(reason(code), "unknown");
        assert_eq!(classify(&error(code), None), Final);
        for (http_status, class) in STATUSES {
            assert_eq!(classify(&error(code), Some(*http_status)), *class, "{code} with HTTP {http_status}");
            assert_eq!(of_status(*http_status), *class, "HTTP {http_status}");
        }
    }
}

#[test]
fn the_rows_are_in_order_and_do_not_overlap() {
    for pair in TABLE.windows(2) {
        assert!(pair[0].0 <= pair[0].1 && pair[0].1 < pair[1].0, "{pair:?}");
    }
}

#[test]
fn both_shapes_of_an_error_are_read() {
    let answer = br#"{"error":{"message":"(#131056) Pair rate limit","type":"OAuthException","code":131056,
        "error_data":{"messaging_product":"whatsapp","details":"too many"},"fbtrace_id":"Abc"}}"#;
    let error = GraphError::from_answer(answer).unwrap();
    assert_eq!((error.code, error.details.as_deref()), (131_056, Some("too many")));
    assert_eq!(error.to_string(), "Graph error 131056 (pair_rate_limit), fbtrace_id Abc");
    assert_eq!(GraphError::from_answer(b"<html>"), None);
    assert_eq!(GraphError::from_answer(b"{}"), None);
    let listed = read(r#"{"code":"131026","title":"t","href":"h"}"#);
    assert_eq!((listed.code, listed.title.as_deref()), (131_026, Some("t")));
}

#[test]
fn the_code_survives_whatever_is_wrong_beside_it() {
    for (body, code) in [
        (&br#"{"error":{"code":190,"message":"\ud83d"}}"#[..], 190),
        (br#"{"error":{"\ud83d":1,"code":190}}"#, 190),
        (b"{\"error\":{\"code\":190,\"message\":\"\xff\"}}", 190),
        (br#"{"error":{"code":1,"code":190,"error_data":[],"is_transient":7,"error_subcode":1e999}}"#, 190),
        (br#"{"error":{"code":"190"},"error":{"code":190}}"#, 190),
        (br#"{"error":{"message":"no code","type":"OAuthException"}}"#, NO_CODE),
        (br#"{"error":{"code":null}}"#, NO_CODE),
        (br#"{"error":{"code":1e999}}"#, NO_CODE),
        (br#"{"error":{"code":99999999999999999999}}"#, NO_CODE),
    ] {
        let shown = String::from_utf8_lossy(body);
        assert_eq!(GraphError::from_answer(body).map(|error| error.code), Some(code), "{shown}");
    }
    for body in
        [&br#"{"error":"unauthorized"}"#[..], br#"{"error":null}"#, br#"{"error":[{"code":4}]}"#, b"[]", b""]
    {
        assert_eq!(GraphError::from_answer(body), None, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn what_is_shown_of_an_error_is_one_line_without_metas_words() {
    let forged = read(r#"{"code":100,"message":"to +1555","fbtrace_id":"a\nforged line"}"#);
    assert_eq!(forged.to_string(), "Graph error 100 (invalid_request)");
    assert_eq!(
        read(&format!(r#"{{"fbtrace_id":"{}"}}"#, "x".repeat(65))).to_string(),
        "Graph error without a code"
    );
    assert!(!format!("{forged:?}").contains("1555"), "{forged:?}");
}

#[test]
fn marketing_setup_waits_for_ten_minutes() {
    assert_eq!(error(134_101).documented_wait(), Some(Duration::from_secs(600)));
    assert_eq!(error(134_100).documented_wait(), None);
}

#[test]
fn a_number_that_does_not_exist_stops_the_channel_and_a_wrong_parameter_does_not() {
    let unknown = "Unsupported post request. Object with ID '1' does not exist, cannot be loaded due to missing \
        permissions, or does not support this operation.";
    for (json, class, reason) in [
        (format!(r#"{{"code":100,"message":"{unknown}"}}"#), StopChannel, "number_unknown"),
        (r#"{"code":100,"error_subcode":33,"message":"x"}"#.to_owned(), StopChannel, "number_unknown"),
        (r#"{"code":100,"error_subcode":2494010}"#.to_owned(), Final, "invalid_request"),
        (format!(r#"{{"code":131009,"message":"{unknown}"}}"#), Final, "invalid_request"),
    ] {
        let error = read(&json);
        assert_eq!((classify(&error, Some(400)), error.reason()), (class, reason), "{json}");
    }
}
