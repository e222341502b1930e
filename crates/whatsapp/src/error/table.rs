//! The table of error codes: one line a code or range, in the order of the codes (Meta, error-codes, and the pages
//! on throughput, pair limits and messaging limits).

use super::{
    ErrorClass::{
        self, Ambiguous, Final, Replay, StopChannel, WaitApp, WaitMaintenance, WaitNumber, WaitPair,
    },
    GraphError,
};

/// First code, last code, class, reason.
type Row = (i64, i64, ErrorClass, &'static str);

const TABLE: &[Row] = &[
    (0, 0, StopChannel, "token_invalid"),
    (1, 2, Ambiguous, "service_error"),
    (3, 3, StopChannel, "permission_missing"),
    (4, 4, WaitApp, "app_rate_limit"),
    (10, 10, StopChannel, "permission_missing"),
    (33, 33, Final, "invalid_request"),
    (100, 100, Final, "invalid_request"),
    (190, 190, StopChannel, "token_invalid"),
    (200, 299, StopChannel, "permission_missing"),
    (368, 368, StopChannel, "policy_block"),
    (613, 613, WaitApp, "app_rate_limit"),
    (80_007, 80_007, WaitApp, "account_rate_limit"),
    (130_403, 130_403, Final, "recipient_blocked"),
    (130_429, 130_429, WaitNumber, "throughput_limit"),
    (130_472, 130_472, Final, "recipient_in_experiment"),
    (130_497, 130_497, StopChannel, "country_restricted"),
    (131_000, 131_000, Ambiguous, "service_error"),
    (131_005, 131_005, StopChannel, "permission_missing"),
    (131_008, 131_009, Final, "invalid_request"),
    (131_016, 131_016, Ambiguous, "service_unavailable"),
    (131_020, 131_020, Final, "group_error"),
    (131_021, 131_021, Final, "invalid_request"),
    (131_026, 131_026, Final, "undeliverable"),
    (131_031, 131_031, StopChannel, "account_locked"),
    (131_037, 131_037, StopChannel, "display_name_missing"),
    (131_041, 131_041, Final, "group_error"),
    (131_042, 131_042, StopChannel, "payment_problem"),
    (131_045, 131_045, StopChannel, "number_not_registered"),
    (131_047, 131_047, Final, "window_closed"),
    // Marketing and service messages share the outbox, so the whole number rests rather than lose its quality.
    (131_048, 131_048, StopChannel, "spam_limit"),
    (131_049, 131_049, Final, "healthy_ecosystem_limit"),
    (131_050, 131_050, Final, "recipient_opted_out"),
    (131_051, 131_051, Final, "type_not_supported"),
    (131_052, 131_053, Final, "media_error"),
    (131_055, 131_055, Final, "method_not_allowed"),
    (131_056, 131_056, WaitPair, "pair_rate_limit"),
    (131_057, 131_057, WaitMaintenance, "maintenance"),
    (131_059, 131_059, Final, "group_error"),
    (131_062, 131_063, Final, "recipient_not_supported"),
    (131_064, 131_064, Final, "template_limit"),
    (131_200, 131_299, Final, "group_error"),
    (132_000, 132_001, Final, "template_error"),
    (132_005, 132_005, Final, "template_error"),
    (132_007, 132_007, Final, "template_error"),
    (132_012, 132_012, Final, "template_error"),
    (132_015, 132_015, Final, "template_paused"),
    (132_016, 132_016, Final, "template_disabled"),
    (132_018, 132_018, Final, "template_error"),
    (132_068, 132_069, Final, "flow_error"),
    (133_000, 133_000, StopChannel, "number_not_registered"),
    (133_004, 133_004, Ambiguous, "service_unavailable"),
    (133_005, 133_006, StopChannel, "number_not_registered"),
    (133_008, 133_010, StopChannel, "number_not_registered"),
    (133_015, 133_016, StopChannel, "number_not_registered"),
    (134_011, 134_011, StopChannel, "payment_problem"),
    (134_100, 134_100, Final, "marketing_api_error"),
    // "Try again after ten minutes": the account is being set up for marketing messages.
    (134_101, 134_101, Replay, "marketing_api_setup"),
    (134_102, 134_102, Final, "marketing_api_error"),
    (135_000, 135_000, Final, "invalid_request"),
    (138_000, 138_099, Final, "call_error"),
    (139_100, 139_199, Final, "block_list_error"),
    (2_494_100, 2_494_100, WaitMaintenance, "maintenance"),
];

fn row(code: i64) -> Option<&'static Row> {
    TABLE.iter().find(|(first, last, ..)| (*first..=*last).contains(&code))
}

/// The class of an error that Graph gave as the answer to a send.
///
/// A code that is not in the table: what Meta calls transient, and anything that came with 5xx, may have been worked
/// on, so it is ambiguous. 429 is refused before the work. The rest would be refused again.
pub fn classify(error: &GraphError, http_status: Option<u16>) -> ErrorClass {
    match (row(error.code), http_status) {
        (Some((_, _, class, _)), _) => *class,
        (None, Some(429)) => Replay,
        (None, Some(500..)) => Ambiguous,
        (None, _) if error.is_transient => Ambiguous,
        (None, Some(401 | 403)) => StopChannel,
        (None, _) => Final,
    }
}

/// A bounded label for a code.
pub fn reason(code: i64) -> &'static str {
    row(code).map_or("unknown_error", |(.., reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64) -> GraphError {
        GraphError { code, ..GraphError::default() }
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
            (&[4, 80_007, 613], WaitApp),
            (&[130_429], WaitNumber),
            (&[131_056], WaitPair),
            (&[131_057, 2_494_100], WaitMaintenance),
            (&[131_000, 131_016, 1, 2, 133_004], Ambiguous),
            (&[131_064, 131_049, 131_050, 130_472, 130_403, 131_047, 131_026], Final),
            (&[131_051, 131_008, 131_009, 100, 33, 131_021, 135_000], Final),
            (&[131_062, 131_063, 131_055, 134_100, 134_102, 131_052, 131_053], Final),
            (
                &[132_000, 132_001, 132_005, 132_007, 132_012, 132_015, 132_016, 132_018, 132_068, 132_069],
                Final,
            ),
            (&[131_020, 131_041, 131_059, 131_200, 138_000, 139_100], Final),
            (&[134_101], Replay),
        ] {
            for code in codes {
                assert_eq!(classify(&error(*code), Some(400)), class, "{code}");
                assert_eq!(
                    classify(&error(*code), Some(500)),
                    class,
                    "{code}: the HTTP status does not decide"
                );
                assert_ne!(reason(*code), "unknown_error", "{code}");
            }
        }
    }

    #[test]
    fn an_unknown_code_is_never_repeated_blindly() {
        let transient = GraphError { is_transient: true, ..error(999_999) };
        assert_eq!(classify(&transient, Some(400)), Ambiguous);
        assert_eq!(classify(&error(999_999), Some(400)), Final);
        assert_eq!(classify(&error(999_999), Some(500)), Ambiguous);
        assert_eq!(classify(&error(999_999), Some(429)), Replay);
        assert_eq!(classify(&error(999_999), Some(401)), StopChannel);
        assert_eq!(reason(999_999), "unknown_error");
    }

    #[test]
    fn the_rows_are_in_order_and_do_not_overlap() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].0 <= pair[0].1 && pair[0].1 < pair[1].0, "{pair:?}");
        }
    }

    #[test]
    fn both_shapes_of_an_error_are_read() {
        let answer =
            br#"{"error":{"message":"(#131056) Pair rate limit","type":"OAuthException","code":131056,
            "error_data":{"messaging_product":"whatsapp","details":"too many"},"fbtrace_id":"Abc"}}"#;
        let error = GraphError::from_answer(answer).unwrap();
        assert_eq!((error.code, error.details.as_deref()), (131_056, Some("too many")));
        assert_eq!(error.to_string(), "Graph error 131056 (pair_rate_limit), fbtrace_id Abc");
        assert_eq!(GraphError::from_answer(b"<html>"), None);
        assert_eq!(GraphError::from_answer(b"{}"), None);
        let listed: GraphError = serde_json::from_str(r#"{"code":"131026","title":"t","href":"h"}"#).unwrap();
        assert_eq!((listed.code, listed.title.as_deref()), (131_026, Some("t")));
    }
}
