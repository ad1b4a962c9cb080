//! The documents name files of this repository: each of them is there, so that a reader who looks
//! finds it.

use std::fs;
use std::path::{Path, PathBuf};

/// Where what is named between backticks, or as the target of a link, begins with one of these.
const FOLDERS: [&str; 8] =
    ["src/", "tests/", "programs/", "examples/", "benches/", "docs/", "fuzz/", ".ci/"];

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries =
        [root.to_owned(), root.join("docs")].map(|folder| fs::read_dir(folder).expect("readable"));
    let paths = entries.into_iter().flatten().map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// A name with alternatives, such as `tests/{a,b}.rs`, is several.
fn alternatives(name: &str) -> Vec<String> {
    let parts =
        name.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (inner, after))) = parts else { return vec![name.to_owned()] };
    inner.split(',').map(|one| format!("{before}{one}{after}")).collect()
}

fn is_path(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./{},".contains(&byte));
    plain && FOLDERS.iter().any(|folder| name.starts_with(folder))
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut named, mut missing) = (0, Vec::new());
    for document in documents() {
        let text = fs::read_to_string(&document).expect("it is text");
        for name in text.split(['`', '(', ')']).filter(|name| is_path(name)) {
            for path in alternatives(name) {
                named += 1;
                if !root.join(&path).exists() {
                    missing.push(format!("{} names {path}", document.display()));
                }
            }
        }
    }
    assert!(named > 50, "only {named} paths were found: the documents look different now");
    assert!(missing.is_empty(), "{missing:#?}");
}
