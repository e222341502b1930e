//! Times as the API writes and reads them: RFC 3339.

use jiff::Timestamp;
use service::http::Problem;

use crate::store::Micros;

/// In UTC, such as `2026-01-31T09:30:00.25Z`.
pub(super) fn written(at: Micros) -> String {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// A parameter or field with a time.
pub(super) fn read(field: &'static str, text: Option<&str>) -> Result<Option<Micros>, Problem> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    // A `+` that was not escaped arrives as a space.
    let time: Result<Timestamp, _> = text.replacen(' ', "+", 1).parse();
    time.map(|time| Some(time.as_microsecond())).map_err(|_| {
        let detail = format!("{field} is not a time; write it like 2026-01-31T09:30:00Z");
        Problem::bad_request(detail).with_field(field)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_whatever_their_zone() {
        assert_eq!(written(1_760_000_000_250_000), "2025-10-09T08:53:20.25Z");
        for text in
            ["2025-10-09T08:53:20.25Z", "2025-10-09T10:53:20.250+02:00", "2025-10-09T10:53:20.25 02:00"]
        {
            assert_eq!(read("since", Some(text)), Ok(Some(1_760_000_000_250_000)), "{text}");
        }
        assert_eq!(read("since", None), Ok(None));
        assert_eq!(read("since", Some("")), Ok(None));
        for text in ["yesterday", "2025-10-09", "1760000000", "2025-10-09T08:53:20"] {
            assert_eq!(read("until", Some(text)).unwrap_err().field(), Some("until"), "{text}");
        }
    }
}
