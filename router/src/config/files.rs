//! Configuration objects in a folder of YAML files, read as a whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::snapshot::Snapshot;

/// Far more than the objects of any one router; something else that ended up in the folder.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// All objects of `*.yaml` and `*.yml` directly in `folder`, in the order of the file names. Names that begin with a
/// dot are not looked at: mounted ConfigMaps keep their machinery there. Only a folder that can't be read is an error.
pub fn read(folder: &Path) -> io::Result<Snapshot> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| is_ours(path))
        .collect();
    files.sort();
    let mut snapshot = Snapshot::default();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match text(&path).map(|text| serde_saphyr::from_multiple::<Value>(&text)) {
            Err(error) => snapshot.problems.push(format!("{name}: can't be read: {error}")),
            Ok(Err(error)) => snapshot.problems.push(format!("{name}: is not YAML: {}", first_line(&error))),
            Ok(Ok(documents)) => {
                for (position, document) in documents.into_iter().enumerate() {
                    // An empty document between two lines of hyphens.
                    if !document.is_null() {
                        snapshot.add(document, &format!("{name}, document {}", position + 1));
                    }
                }
            }
        }
    }
    Ok(snapshot)
}

fn is_ours(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn text(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 4 MiB"));
    }
    fs::read_to_string(path)
}

/// The rest draws the place, which may hold what nobody should read in a log.
fn first_line(error: &serde_saphyr::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str) -> String {
        format!(
            "apiVersion: whatsapp-router.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{}}\n"
        )
    }

    #[test]
    fn every_document_of_every_file_is_read_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("b.yaml", &object("Route", "r"));
        write("a.yml", &format!("---\n{}---\n---\n{}", object("Channel", "one"), object("Channel", "two")));
        write("notes.txt", "not read");
        write(".hidden.yaml", "not: read");
        write("broken.yaml", "kind: [unclosed");
        let snapshot = read(folder.path()).unwrap();
        let names: Vec<_> = snapshot.objects.iter().map(|object| object.id.to_string()).collect();
        assert_eq!(names, ["Channel/one", "Channel/two", "Route/r"]);
        assert_eq!(snapshot.objects[1].origin, "a.yml, document 2");
        assert_eq!(snapshot.problems.len(), 1);
        assert!(snapshot.problems[0].starts_with("broken.yaml: is not YAML: "), "{:?}", snapshot.problems);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert_eq!(read(Path::new("/nowhere")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
