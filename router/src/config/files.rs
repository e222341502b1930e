//! Configuration objects in a folder of YAML files, read as a whole.

mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

pub use self::watch::start;
use super::snapshot::{Object, Snapshot};

/// Far more than the objects of any one router; something else that ended up in the folder.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// A folder, and what it held when it was last read. A file with a problem takes nothing away: what it held before
/// stays, and is called stale.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    last: BTreeMap<String, Vec<Object>>,
}

impl Folder {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), last: BTreeMap::new() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All objects of `*.yaml` and `*.yml` directly in the folder, in the order of the file names. Names that begin with
    /// a dot are not looked at: mounted ConfigMaps keep their machinery there. Only a folder that can't be read is an
    /// error, and then nothing changes.
    pub fn read(&mut self) -> io::Result<Snapshot> {
        let mut paths: Vec<PathBuf> = fs::read_dir(&self.path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()?;
        paths.retain(|path| is_ours(path));
        paths.sort();
        let mut files = BTreeMap::new();
        let mut snapshot = Snapshot::default();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let read = read_file(&path, &name);
            let objects = with_what_was_there(read.objects, &read.problems, self.last.remove(&name));
            snapshot.problems.extend(read.problems);
            snapshot.may_lack_channel |= read.may_lack_channel;
            files.insert(name, objects);
        }
        let all = || files.values().flatten();
        for object in all().filter(|object| object.stale.is_none()) {
            snapshot.include(object.clone());
        }
        // Something stale gives way to something fresh: the object may have moved to another file.
        let fresh: BTreeSet<_> = snapshot.objects.iter().map(|object| object.id.clone()).collect();
        for object in all().filter(|object| object.stale.is_some() && !fresh.contains(&object.id)) {
            snapshot.include(object.clone());
        }
        self.last = files;
        Ok(snapshot)
    }
}

fn read_file(path: &Path, name: &str) -> Snapshot {
    let mut snapshot = Snapshot::default();
    match text(path) {
        Err(error) => snapshot.unreadable(format!("{name}: can't be read: {error}")),
        // An editor that is about to write, or a disk that was full: whoever wants an object gone removes its file.
        Ok(text) if text.trim().is_empty() => {
            snapshot.unreadable(format!("{name}: is empty: write an object, or remove the file"));
        }
        Ok(text) => match serde_saphyr::from_multiple::<Value>(&text) {
            Err(error) => snapshot.unreadable(format!("{name}: is not YAML: {}", first_line(&error))),
            Ok(documents) => {
                for (position, document) in documents.into_iter().enumerate() {
                    // An empty document between two lines of hyphens.
                    if !document.is_null() {
                        snapshot.add(document, &format!("{name}, document {}", position + 1));
                    }
                }
            }
        },
    }
    snapshot
}

fn with_what_was_there(
    mut objects: Vec<Object>,
    problems: &[String],
    last: Option<Vec<Object>>,
) -> Vec<Object> {
    if problems.is_empty() {
        return objects;
    }
    for mut object in last.unwrap_or_default() {
        if !objects.iter().any(|other| other.id == object.id) {
            object.stale = Some(problems.join("; "));
            objects.push(object);
        }
    }
    objects
}

fn is_ours(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn text(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    if metadata.len() > MOST_BYTES {
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

    fn ids(snapshot: &Snapshot) -> Vec<String> {
        let shown =
            |object: &Object| format!("{}{}", object.id, if object.stale.is_some() { " stale" } else { "" });
        snapshot.objects.iter().map(shown).collect()
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
        write("comment.yaml", "# nothing yet\n");
        fs::create_dir(folder.path().join("folder.yaml")).unwrap();
        let snapshot = Folder::new(folder.path()).read().unwrap();
        assert_eq!(ids(&snapshot), ["Channel/one", "Channel/two", "Route/r"]);
        assert_eq!(snapshot.objects[1].origin, "a.yml, document 2");
        assert_eq!(snapshot.problems.len(), 2, "{:?}", snapshot.problems);
        assert!(snapshot.problems[0].starts_with("broken.yaml: is not YAML: "), "{:?}", snapshot.problems);
        assert!(snapshot.problems[1].starts_with("folder.yaml: can't be read"), "{:?}", snapshot.problems);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert_eq!(Folder::new("/nowhere").read().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_with_a_problem_takes_nothing_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.yaml");
        let both = format!("{}---\n{}", object("Channel", "one"), object("Route", "r"));
        let mut reader = Folder::new(folder.path());
        for (text, wanted, problems) in [
            (both.as_str(), &["Channel/one", "Route/r"][..], 0),
            ("kind: [unclosed", &["Channel/one stale", "Route/r stale"], 1),
            ("", &["Channel/one stale", "Route/r stale"], 1),
            (&both.replace("kind: Route", "kind: Rout"), &["Channel/one", "Route/r stale"], 1),
            (&object("Channel", "one"), &["Channel/one"], 0),
            ("also: [broken", &["Channel/one stale"], 1),
            (&both, &["Channel/one", "Route/r"], 0),
        ] {
            fs::write(&path, text).unwrap();
            let snapshot = reader.read().unwrap();
            assert_eq!(
                (ids(&snapshot), snapshot.problems.len()),
                (wanted.iter().map(|it| (*it).to_owned()).collect(), problems),
                "{text}"
            );
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(reader.read().unwrap(), Snapshot::default(), "whoever removes a file means it");
    }

    #[test]
    fn what_moved_to_another_file_is_taken_from_there() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.yaml", &object("Route", "r"));
        let mut reader = Folder::new(folder.path());
        reader.read().unwrap();
        write("a.yaml", "broken: [");
        write("b.yaml", &object("Route", "r"));
        let snapshot = reader.read().unwrap();
        assert_eq!(
            (ids(&snapshot), &*snapshot.objects[0].origin),
            (vec!["Route/r".to_owned()], "b.yaml, document 1")
        );
    }
}
