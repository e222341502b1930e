//! When two contacts are one person, whatever database the store is on.

use super::Contact;

/// A business-scoped user id belongs to one person for ever; a number may change hands (Meta, business-scoped-user-ids).
pub(super) fn is_somebody_else(known: &Contact, seen: &Contact) -> bool {
    matches!((&known.user_id, &seen.user_id), (Some(known), Some(seen)) if known != seen)
}

/// What is known with what was seen laid over it; `None` when that changes nothing. The key stays.
pub(super) fn merged(known: &Contact, seen: &Contact) -> Option<Contact> {
    let newer = |known: &Option<String>, seen: &Option<String>| seen.clone().or_else(|| known.clone());
    let contact = Contact {
        key: known.key.clone(),
        wa_id: newer(&known.wa_id, &seen.wa_id),
        user_id: newer(&known.user_id, &seen.user_id),
        username: newer(&known.username, &seen.username),
        name: newer(&known.name, &seen.name),
    };
    (contact != *known).then_some(contact)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(wa_id: Option<&str>, user_id: Option<&str>, name: Option<&str>) -> Contact {
        Contact {
            key: "k".to_owned(),
            wa_id: wa_id.map(str::to_owned),
            user_id: user_id.map(str::to_owned),
            username: None,
            name: name.map(str::to_owned),
        }
    }

    #[test]
    fn news_is_added_and_silence_takes_nothing_away() {
        let known = contact(Some("1"), None, Some("Ada"));
        assert_eq!(merged(&known, &contact(Some("1"), None, None)), None);
        assert_eq!(
            merged(&known, &contact(None, Some("US.2"), None)),
            Some(contact(Some("1"), Some("US.2"), Some("Ada")))
        );
    }

    #[test]
    fn only_two_user_ids_that_differ_tell_people_apart() {
        let a = contact(Some("1"), Some("US.1"), None);
        assert!(is_somebody_else(&a, &contact(Some("1"), Some("US.2"), None)));
        assert!(!is_somebody_else(&a, &contact(Some("2"), Some("US.1"), None)));
        assert!(!is_somebody_else(&a, &contact(Some("1"), None, None)));
    }
}
