//! What a secret is called.

use std::fmt;

/// Name and key, as in Kubernetes: folder and file. Neither is secret.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId {
    pub name: String,
    pub key: String,
}

impl SecretId {
    pub fn new(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self { name: name.into(), key: key.into() }
    }

    /// A file directly in the folder.
    pub(crate) fn flat(key: impl Into<String>) -> Self {
        Self::new("", key)
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() { f.write_str(&self.key) } else { write!(f, "{}/{}", self.name, self.key) }
    }
}

impl fmt::Debug for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What Kubernetes allows as the name of a Secret or a key, without names that begin with a dot: mounts keep their
/// machinery there.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=253).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kubernetes_allows() {
        for name in ["access-token", "WHATSAPP_ACCESS_TOKEN", "a", "tls.crt", "v1.2_x", &"x".repeat(253)] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..data",
            ".hidden",
            "a/b",
            "a b",
            "tokén",
            "a\n",
            "token~",
            "#token#",
            &"x".repeat(254),
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
