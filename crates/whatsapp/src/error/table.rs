//! The table of error codes: one line a code or range, in the order of the codes (Meta, error-codes, and the pages
//! on throughput, pair limits and messaging limits).

use std::time::Duration;

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
    // Meta: the business phone number has been deleted.
    (33, 33, StopChannel, "number_unknown"),
    (100, 100, Final, "invalid_request"),
    (190, 190, StopChannel, "token_invalid"),
    (200, 299, StopChannel, "permission_missing"),
    (368, 368, StopChannel, "policy_block"),
    (613, 613, WaitApp, "app_rate_limit"),
    // The path does not exist: the base address or the version is wrong, for every message alike.
    (2_500, 2_500, StopChannel, "unknown_path"),
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
    // A test number writes only to the phones that were entered for it.
    (131_030, 131_030, Final, "recipient_not_allowed"),
    (131_031, 131_031, StopChannel, "account_locked"),
    (131_037, 131_037, StopChannel, "display_name_missing"),
    (131_041, 131_041, Final, "group_error"),
    (131_042, 131_042, StopChannel, "payment_problem"),
    (131_045, 131_045, StopChannel, "number_not_registered"),
    (131_047, 131_047, Final, "reengagement_window"),
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
    // The account is being set up for marketing messages: see `documented_wait`.
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
/// For a code that is not in the table the HTTP status decides. What Meta calls transient may have been worked on,
/// unless the status tells otherwise.
pub fn classify(error: &GraphError, http_status: Option<u16>) -> ErrorClass {
    if names_no_number(error) {
        return StopChannel;
    }
    match (row(error.code), http_status.map_or(Final, of_status)) {
        (Some((_, _, class, _)), _) => *class,
        (None, Final) if error.is_transient => Ambiguous,
        (None, class) => class,
    }
}

/// The class of an answer of which only the HTTP status says something.
pub(crate) fn of_status(http_status: u16) -> ErrorClass {
    match http_status {
        429 => WaitNumber,
        // Sign-in at a proxy, another address, another method: the same for every message.
        300..=399 | 401 | 403 | 404 | 405 | 407 => StopChannel,
        400..=407 | 409..=499 => Final,
        // 408 gives up waiting for a request, and nobody knows how far that had come.
        _ => Ambiguous,
    }
}

/// The number's id in the address is wrong, or the token may not use it: the same for every message. Meta answers it
/// with the code of an invalid parameter, which the subcode and the words tell apart.
pub(super) fn names_no_number(error: &GraphError) -> bool {
    let says_so = |text: &String| text.contains("Object with ID") && text.contains("does not exist");
    error.code == 100 && (error.subcode == Some(33) || error.message.as_ref().is_some_and(says_so))
}

/// A bounded label for a code.
pub fn reason(code: i64) -> &'static str {
    row(code).map_or("unknown", |(.., reason)| reason)
}

/// Meta on 134101: try again after ten minutes.
pub(super) fn documented_wait(code: i64) -> Option<Duration> {
    (code == 134_101).then_some(Duration::from_secs(600))
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
