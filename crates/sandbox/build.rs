//! Embeds every file of `page/`, so that the page can be split into files without a list to keep up to date.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let page = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("page");
    println!("cargo::rerun-if-changed={}", page.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&page)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    let files: String = names
        .iter()
        .map(|name| format!("    ({name:?}, include_bytes!({:?})),\n", page.join(name).display().to_string()))
        .collect();
    let table = format!("pub(super) const FILES: &[(&str, &[u8])] = &[\n{files}];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("page_files.rs"), table)?;
    Ok(())
}
