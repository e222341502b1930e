//! Secrets that are mounted as files, one per key, as Kubernetes and Docker do it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

/// Where secrets are mounted when `SECRETS_DIR` does not say otherwise.
pub const DEFAULT_SECRETS_DIR: &str = "/var/run/secrets/whatsapp-router";

/// A token is far shorter; a file this long is something else that ended up in the folder.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Finds the file that belongs to a variable. Cheap to clone; it can be asked again when a secret was rotated.
#[derive(Debug, Clone)]
pub struct SecretFiles {
    folder: PathBuf,
    prefix: &'static str,
}

impl SecretFiles {
    /// With the prefix `WHATSAPP_` the variable `WHATSAPP_ACCESS_TOKEN` is also found as `access-token`.
    pub fn new(folder: impl Into<PathBuf>, prefix: &'static str) -> Self {
        Self { folder: folder.into(), prefix }
    }

    /// The folder that is looked into.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file names that mean this variable, best first.
    fn keys(&self, variable: &str) -> Vec<String> {
        let kebab = |name: &str| name.to_ascii_lowercase().replace('_', "-");
        let mut keys = vec![variable.to_owned(), kebab(variable)];
        if let Some(short) = variable.strip_prefix(self.prefix).filter(|_| !self.prefix.is_empty()) {
            keys.push(kebab(short));
        }
        keys
    }

    /// The content of the first file that exists and is not empty, without the white space around it.
    /// The error says which file cannot be read and why.
    pub fn read(&self, variable: &str) -> Result<Option<SecretString>, String> {
        for key in self.keys(variable) {
            let path = self.folder.join(key);
            match read_small(&path) {
                Ok(Some(content)) if !content.trim().is_empty() => return Ok(Some(content.trim().into())),
                Ok(_) => {}
                Err(error) => return Err(format!("its file {} cannot be read ({error})", path.display())),
            }
        }
        Ok(None)
    }
}

/// None when there is no such file.
fn read_small(path: &Path) -> io::Result<Option<String>> {
    let length = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if length > MAX_SECRET_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 64 KiB"));
    }
    fs::read_to_string(path).map(Some)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn found(files: &SecretFiles, variable: &str) -> Option<String> {
        files.read(variable).unwrap().map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn a_file_is_found_under_three_names_and_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        let files = SecretFiles::new(folder.path(), "WHATSAPP_");
        assert_eq!(found(&files, "WHATSAPP_ACCESS_TOKEN"), None);
        for (file, content) in [
            ("access-token", "short\n"),
            ("whatsapp-access-token", "kebab\r\n"),
            ("WHATSAPP_ACCESS_TOKEN", " full "),
        ] {
            fs::write(folder.path().join(file), content).unwrap();
            assert_eq!(found(&files, "WHATSAPP_ACCESS_TOKEN").as_deref(), Some(content.trim()));
        }
    }

    #[test]
    fn an_empty_file_a_folder_and_a_missing_folder_are_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("TOKEN"), "\n").unwrap();
        fs::create_dir(folder.path().join("KEY")).unwrap();
        let files = SecretFiles::new(folder.path(), "");
        assert_eq!(found(&files, "TOKEN"), None);
        assert_eq!(found(&files, "KEY"), None);
        assert_eq!(found(&SecretFiles::new(folder.path().join("missing"), ""), "TOKEN"), None);
    }

    #[test]
    fn a_file_that_is_not_text_or_too_long_is_an_error_and_not_ignored() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("BINARY"), [0xff, 0xfe]).unwrap();
        fs::write(folder.path().join("LONG"), "x".repeat(70_000)).unwrap();
        let files = SecretFiles::new(folder.path(), "");
        assert!(files.read("BINARY").unwrap_err().contains("BINARY"));
        assert!(files.read("LONG").unwrap_err().contains("64 KiB"));
    }
}
