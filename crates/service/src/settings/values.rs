//! The kinds of value a setting can have beyond what `FromStr` of the standard library reads.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};

/// Reads `6s`, `500ms`, `10m`, `24h`, `7d` and sums of them such as `1h30m`; `0` needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "is not a duration such as 500ms, 6s, 10m, 24h or 1h30m";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits =
            rest.find(|c: char| !c.is_ascii_digit()).ok_or("has a number without a unit (ms, s, m, h, d)")?;
        let unit_length = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        let (number, unit) = (&rest[..digits], &rest[digits..digits + unit_length]);
        let number: u64 = number.parse().map_err(|_| EXPECTED)?;
        let milliseconds = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1_000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            "d" => number.checked_mul(86_400_000),
            _ => return Err(EXPECTED.to_owned()),
        };
        total = milliseconds
            .and_then(|part| total.checked_add(Duration::from_millis(part)))
            .ok_or("is longer than can be counted")?;
        rest = &rest[digits + unit_length..];
    }
    if text.is_empty() { Err(EXPECTED.to_owned()) } else { Ok(total) }
}

/// The shortest spelling that [`parse_duration`] reads back; below a millisecond nothing is shown.
pub fn format_duration(duration: Duration) -> String {
    let mut milliseconds = duration.as_millis();
    let mut text = String::new();
    for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if milliseconds >= length {
            text.push_str(&format!("{}{unit}", milliseconds / length));
            milliseconds %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads `true/false`, `1/0`, `yes/no` and `on/off` in any case.
pub fn parse_boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("is neither true nor false (also 1/0, yes/no, on/off)".to_owned()),
    }
}

/// A duration that can be parsed where a `FromStr` is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationSetting(pub Duration);

impl FromStr for DurationSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_duration(text).map(Self)
    }
}

/// An address to listen on: `0.0.0.0:8000`, `[::]:8000`, `localhost:8000`, or `:8000` for all of IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress(pub SocketAddr);

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let host_and_port = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let ip = match host_and_port {
            Some(("", _)) => Ipv4Addr::UNSPECIFIED,
            Some(("localhost", _)) => Ipv4Addr::LOCALHOST,
            _ => return Err("is not an address with a port such as 0.0.0.0:8000 or [::]:8000".to_owned()),
        };
        let port: u16 = host_and_port.map_or(0, |(_, port)| port);
        Ok(Self(SocketAddr::new(IpAddr::V4(ip), port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let seconds = Duration::from_secs;
        for (text, expected) in [
            ("6s", seconds(6)),
            ("500ms", Duration::from_millis(500)),
            ("24h", seconds(86_400)),
            ("10m", seconds(600)),
            ("1h30m", seconds(5_400)),
            ("2d", seconds(172_800)),
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
        ] {
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
        }
        for text in
            ["", "6", "s", "6x", "-1s", "1.5s", "6 s", "s6", "99999999999999999999s", "18446744073709551615d"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn booleans_have_four_spellings() {
        for text in ["true", "1", "yes", "ON"] {
            assert_eq!(parse_boolean(text), Ok(true), "{text}");
        }
        for text in ["false", "0", "No", "off"] {
            assert_eq!(parse_boolean(text), Ok(false), "{text}");
        }
        assert!(parse_boolean("maybe").is_err());
    }

    #[test]
    fn addresses_need_a_port_and_may_leave_out_the_host() {
        for (text, expected) in [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("[::]:8000", "[::]:8000"),
            (":8000", "0.0.0.0:8000"),
            ("localhost:8000", "127.0.0.1:8000"),
        ] {
            assert_eq!(text.parse::<ListenAddress>(), Ok(ListenAddress(expected.parse().unwrap())), "{text}");
        }
        for text in ["", "8000", "127.0.0.1", "example.org:80", ":70000", "localhost:"] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_formatted_duration_reads_back(milliseconds in 0u64..1_000_000_000_000) {
            let duration = Duration::from_millis(milliseconds);
            proptest::prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
