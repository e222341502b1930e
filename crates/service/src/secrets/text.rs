//! What of a file or a variable is the secret itself.

use secrecy::{ExposeSecret, SecretString};

/// Without the white space around it, such as the line break that editors put at the end. Nothing left is no secret.
pub(super) fn clean(text: &str) -> Option<SecretString> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(SecretString::from)
}

/// Several secrets in one, separated by commas or line breaks, as a list without empty places.
pub fn list(secret: &SecretString) -> Vec<SecretString> {
    secret.expose_secret().split([',', '\n']).filter_map(clean).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(text: &str) -> Option<String> {
        clean(text).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn what_is_around_a_secret_goes_and_what_is_inside_stays() {
        for (text, secret) in [
            ("token", Some("token")),
            ("token\n", Some("token")),
            ("token\r\n", Some("token")),
            ("\u{feff}token", Some("\u{feff}token")),
            (" to ken\t\n\n", Some("to ken")),
            ("-----BEGIN-----\nabc\n-----END-----\n", Some("-----BEGIN-----\nabc\n-----END-----")),
            ("", None),
            (" \r\n\t", None),
        ] {
            assert_eq!(cleaned(text).as_deref(), secret, "{text:?}");
        }
    }

    #[test]
    fn a_list_has_no_empty_places() {
        for (text, expected) in
            [("one", vec!["one"]), (" one , two,", vec!["one", "two"]), ("one\r\ntwo", vec!["one", "two"])]
        {
            let found: Vec<_> = list(&text.into()).iter().map(|one| one.expose_secret().to_owned()).collect();
            assert_eq!(found, expected);
        }
        assert!(list(&" ,\n, ".into()).is_empty());
    }

    proptest! {
        #[test]
        fn white_space_around_changes_nothing(secret in "\\S(.*\\S)?", before in "\\s*", after in "\\s*") {
            let alone = cleaned(&secret);
            prop_assert_eq!(&cleaned(&format!("{before}{secret}{after}")), &alone);
            prop_assert_eq!(alone.as_deref().and_then(cleaned), alone);
        }

        #[test]
        fn a_list_is_its_parts_cleaned(parts in prop::collection::vec("[^,\n]*", 0..6)) {
            let found: Vec<_> =
                list(&parts.join(",").into()).iter().map(|one| one.expose_secret().to_owned()).collect();
            let expected: Vec<_> = parts.iter().filter_map(|part| cleaned(part)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
