//! Which process the spans come from.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::semconv::{SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION};

/// Attributes of the process: what the variables say, and what they leave out.
pub(super) fn resource(
    name: Option<&str>,
    attributes: &[(String, String)],
    default_name: &str,
    version: &str,
) -> BTreeMap<String, String> {
    let mut all: BTreeMap<_, _> = [
        (SERVICE_NAME, default_name.to_owned()),
        (SERVICE_VERSION, version.to_owned()),
        // New with each start: two processes of one name must not be taken for one.
        (SERVICE_INSTANCE_ID, Uuid::now_v7().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    all.extend(attributes.iter().cloned());
    if let Some(name) = name {
        all.insert(SERVICE_NAME.to_owned(), name.to_owned());
    }
    all
}

/// Reads `key=value,key=value` with percent-encoding, as `OTEL_RESOURCE_ATTRIBUTES` and the headers are written (W3C
/// Baggage).
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').ok_or("is not a list such as key=value,key=value")?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            return Err("has a value without a key".to_owned());
        }
        pairs.push((key.to_owned(), decoded(value)?));
    }
    Ok(pairs)
}

fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or("has a % that two hexadecimal digits don't follow (a % itself is %25)")?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 once it is decoded".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_win_over_what_is_known_and_the_name_of_its_own_over_both() {
        let attributes =
            pairs("service.name=other, k8s.pod.name=router-0,deployment.environment.name=a%2Cb").unwrap();
        let all = resource(None, &attributes, "whatsapp-router", "1.2.3");
        assert_eq!(all["service.name"], "other");
        assert_eq!(all["service.version"], "1.2.3");
        assert_eq!(all["k8s.pod.name"], "router-0");
        assert_eq!(all["deployment.environment.name"], "a,b");
        assert!(Uuid::parse_str(&all["service.instance.id"]).is_ok());
        assert_eq!(resource(Some("mine"), &attributes, "x", "1")["service.name"], "mine");
    }

    #[test]
    fn what_is_no_list_is_a_problem() {
        for text in ["a", "a=b,c", "=b", "a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert!(pairs(text).is_err(), "{text}");
        }
        assert_eq!(pairs(" a = b ,, c=").unwrap(), [("a".into(), "b".into()), ("c".into(), String::new())]);
    }
}
