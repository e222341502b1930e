//! Signatures as they are computed elsewhere, and every way of getting one wrong.

use proptest::prelude::*;

use super::*;

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

#[test]
fn the_published_test_vector() {
    // RFC 4231, test case 2.
    assert_eq!(
        sign(&secret("Jefe"), b"what do ya want for nothing?"),
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[test]
fn what_is_refused_and_why() {
    let secrets = [secret("a"), secret("b")];
    let good = sign(&secrets[1], b"body");
    assert_eq!(verify(&secrets, b"body", Some(&good)), Ok(1));
    assert_eq!(verify(&secrets, b"body", Some(&good.to_uppercase().replace("SHA256", "sha256"))), Ok(1));
    assert_eq!(verify(&secrets, b"body", None), Err(SignatureError::Missing));
    assert_eq!(verify(&secrets, b"bodY", Some(&good)), Err(SignatureError::Mismatch));
    assert_eq!(verify(&secrets[..1], b"body", Some(&good)), Err(SignatureError::Mismatch));
    assert_eq!(verify(&[], b"body", Some(&good)), Err(SignatureError::Mismatch));
    let sha1 = good.replace("sha256", "sha1");
    let odd_digit = format!("{}g", &good[..good.len() - 1]);
    let long = format!("{good}0");
    for malformed in ["", "sha256=", &good[..70], &good[7..], &sha1, &long, &odd_digit] {
        assert_eq!(verify(&secrets, b"body", Some(malformed)), Err(SignatureError::Malformed), "{malformed}");
    }
}

#[test]
fn an_empty_secret_matches_nothing() {
    let empty = [secret("")];
    assert_eq!(verify(&empty, b"body", Some(&sign(&empty[0], b"body"))), Err(SignatureError::Mismatch));
}

#[test]
fn tokens_compare_by_content() {
    assert!(constant_time_eq(b"token", b"token"));
    assert!(!constant_time_eq(b"token", b"token "));
    assert!(!constant_time_eq(b"", b"x"));
}

proptest! {
    #[test]
    fn any_flipped_bit_is_noticed(
        body in prop::collection::vec(any::<u8>(), 1..200),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let secrets = [secret("s3cret")];
        let header = sign(&secrets[0], &body);
        prop_assert_eq!(verify(&secrets, &body, Some(&header)), Ok(0));
        let mut changed = body;
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        prop_assert_eq!(verify(&secrets, &changed, Some(&header)), Err(SignatureError::Mismatch));
    }
}
