//! The modules of the library stand in layers: an import points down, and none leads back to where
//! it started.
//!
//! The sources are read as text: every `use` and every path that begins with `crate`, `super` or
//! `self`, followed through re-exports to the file that defines the item. A module and those inside
//! it are one thing here, and unit tests may import whatever they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The layers from the lowest to the highest, each with its modules. Layers on one line do not know
/// each other.
const ORDER: &[&[(&str, &[&str])]] = &[
    // With them what is no type, and imports nothing of the library's but random numbers.
    &[("types", &["types", "pem", "pool", "durable", "remove", "proxy"])],
    &[("crypto", &["crypto"])],
    &[("format", &["chain", "format", "sealed", "key_file"])],
    &[("store", &["store"]), ("wire", &["wire"])],
    &[("session", &["config", "error", "limits", "session"])],
    &[("server", &["server"]), ("client", &["client"])],
    &[("driver", &["driver"])],
    &[("files", &["archive", "compress", "profile", "remote"])],
    // Documentation only.
    &[("guide", &["guide"])],
];

#[test]
fn no_imports_form_a_circle() {
    let graph = Graph::of_library();
    let circles = graph.circles();
    let mut complaints = String::new();
    for circle in &circles {
        let _ = writeln!(complaints, "These modules import each other in a circle:");
        for (from, to) in graph.imports_within(circle) {
            let _ = writeln!(complaints, "    {from} -> {to}");
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn imports_point_to_lower_layers() {
    let graph = Graph::of_library();
    let mut complaints = String::new();
    for (from, to) in graph.imports() {
        let (Some(importing), Some(imported)) = (layer(from), layer(to)) else {
            let _ = writeln!(complaints, "{from} or {to} is in no layer: give it one in ORDER");
            continue;
        };
        if importing.name != imported.name && importing.height <= imported.height {
            let (below, above) = (importing.name, imported.name);
            let _ = writeln!(
                complaints,
                "{from} ({below}) imports {to} ({above}), which is not below it"
            );
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// Without this a change of the reader could make the other tests pass by finding nothing.
#[test]
fn imports_are_found_where_they_are() {
    let graph = Graph::of_library();
    for (from, to) in [
        ("server::fss2", "wire::request"),
        ("server::session", "session"),
        // Through a re-export in `store`, and one in `crypto`.
        ("server::engine", "store::transfer"),
        ("client::session", "crypto::key_encoding"),
    ] {
        assert!(graph.imports().any(|import| import == (from, to)), "{from} imports {to}");
    }
    let tokens = expand("a::{self, b::C, d::{E as F, g}}");
    let names: Vec<_> =
        tokens.iter().map(|(path, name)| format!("{} {name}", path.join("::"))).collect();
    assert_eq!(names, ["a a", "a::b::C C", "a::d::E F", "a::d::g g"]);
    assert_eq!(
        without_comments_and_strings("a /* b */ \"// c\" 'd' e // f\ng"),
        "a  \"\" '' e \ng"
    );
}

struct Layer {
    name: &'static str,
    height: usize,
}

fn layer(module: &str) -> Option<Layer> {
    let outermost = module.split("::").next()?;
    ORDER.iter().enumerate().find_map(|(height, layers)| {
        let (name, _) = layers.iter().find(|(_, modules)| modules.contains(&outermost))?;
        Some(Layer { name, height })
    })
}

type Name = Vec<String>;

#[derive(Default)]
struct Module {
    /// Every path that the module names, as it is written.
    paths: Vec<Name>,
    /// What it gives on under a name.
    exports: BTreeMap<String, Name>,
}

struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    fn of_library() -> Self {
        let mut modules = BTreeMap::new();
        read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut modules);
        let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, module) in modules.iter().filter(|(name, _)| !name.is_empty()) {
            let targets = module.paths.iter().filter_map(|path| resolve(&modules, name, path, 0));
            let targets = targets
                .filter(|to| !to.is_empty() && !to.starts_with(name) && !name.starts_with(to));
            imports.insert(name.join("::"), targets.map(|to| to.join("::")).collect());
        }
        Self(imports)
    }

    fn imports(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flat_map(|(from, targets)| targets.iter().map(move |to| (from.as_str(), to.as_str())))
    }

    fn imports_within(&self, circle: &[&str]) -> Vec<(&str, &str)> {
        self.imports().filter(|(from, to)| circle.contains(from) && circle.contains(to)).collect()
    }

    /// All groups of modules of which each leads to each other one.
    fn circles(&self) -> Vec<Vec<&str>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            self.0.keys().map(|from| (from.as_str(), self.reached(from))).collect();
        let mut circles = BTreeSet::new();
        for (from, targets) in &reached {
            if targets.contains(from) {
                circles.insert(
                    targets
                        .iter()
                        .copied()
                        .filter(|to| reached[to].contains(from))
                        .collect::<Vec<_>>(),
                );
            }
        }
        circles.into_iter().collect()
    }

    fn reached<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(module) = open.pop() {
            open.extend(self.0[module].iter().map(String::as_str).filter(|to| reached.insert(*to)));
        }
        reached
    }
}

fn read_folder(folder: &Path, name: &[String], modules: &mut BTreeMap<Name, Module>) {
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("the sources can be read").path();
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("names of modules are UTF-8")
            .to_owned();
        if path.is_dir() {
            read_folder(&path, &[name, &[stem]].concat(), modules);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let is_folder = stem == "mod" || stem == "lib";
            let module = if is_folder { name.to_vec() } else { [name, &[stem]].concat() };
            modules.insert(
                module,
                Module::read(&fs::read_to_string(&path).expect("a source is UTF-8")),
            );
        }
    }
}

impl Module {
    fn read(text: &str) -> Self {
        // Unit tests are the last thing in a file.
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code = without_comments_and_strings(text);
        let mut module = Self::default();
        let mut rest = String::new();
        let mut statements = code.as_str();
        while let Some(at) = find_word(statements, "use") {
            let (before, after) = statements.split_at(at);
            let (tree, behind) = after["use".len()..].split_once(';').expect("a use ends");
            rest.push_str(before);
            let line = before.rsplit(['\n', ';', '}']).next().unwrap_or_default().trim();
            for (path, name) in expand(tree) {
                if line.starts_with("pub") {
                    module.exports.insert(name, path.clone());
                }
                module.paths.push(path);
            }
            statements = behind;
        }
        rest.push_str(statements);
        for root in ["crate", "super", "self"] {
            let mut code = rest.as_str();
            while let Some(at) = find_word(code, root) {
                code = &code[at..];
                let end = code
                    .find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
                    .unwrap_or(code.len());
                module.paths.push(code[..end].split("::").map(str::to_owned).collect());
                code = &code[end..];
            }
        }
        module
    }
}

/// Where a path leads that is written in the module `from`: to the file that defines it. `None` if
/// that is another crate's.
fn resolve(
    modules: &BTreeMap<Name, Module>,
    from: &[String],
    path: &[String],
    depth: usize,
) -> Option<Name> {
    assert!(depth < 16, "{path:?} in {from:?} is re-exported in a circle");
    let (first, mut rest) = path.split_first()?;
    let mut module = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.to_vec(),
        "super" => from.split_last()?.1.to_vec(),
        child => [from, &[child.to_owned()]].concat(),
    };
    if !modules.contains_key(&module) {
        return None;
    }
    while let Some((segment, behind)) = rest.split_first() {
        let inner = [module.as_slice(), std::slice::from_ref(segment)].concat();
        if segment == "super" {
            module.pop();
        } else if modules.contains_key(&inner) {
            module = inner;
        } else if let Some(target) = modules[&module].exports.get(segment) {
            let target = [target, behind].concat();
            return resolve(modules, &module, &target, depth + 1).or(Some(module));
        } else {
            break;
        }
        rest = behind;
    }
    Some(module)
}

/// The paths of a tree of a `use`, each with the name that it gives.
fn expand(tree: &str) -> Vec<(Name, String)> {
    let tree = tree.trim();
    if let Some((prefix, inner)) = tree.split_once('{') {
        let prefix: Name = prefix
            .split("::")
            .map(|segment| segment.trim().to_owned())
            .filter(|s| !s.is_empty())
            .collect();
        let inner = inner.trim_end().strip_suffix('}').expect("braces are closed");
        let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
        for (at, c) in inner.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(&inner[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        parts.push(&inner[start..]);
        let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
        return parts.flat_map(expand).map(|(path, name)| nested(&prefix, &path, name)).collect();
    }
    let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
    let path: Name = path.split("::").map(|segment| segment.trim().to_owned()).collect();
    let name = if name.is_empty() {
        path.last().cloned().unwrap_or_default()
    } else {
        name.trim().to_owned()
    };
    vec![(path, name)]
}

fn nested(prefix: &[String], path: &[String], name: String) -> (Name, String) {
    if path == ["self"] && !prefix.is_empty() {
        let name = if name == "self" { prefix[prefix.len() - 1].clone() } else { name };
        return (prefix.to_vec(), name);
    }
    ([prefix, path].concat(), name)
}

fn find_word(code: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).find(|&at| {
        let is_path = word == "use" || code[at + word.len()..].starts_with("::");
        let is_statement = word != "use" || code[at + word.len()..].starts_with(' ');
        is_path && is_statement && !code[..at].ends_with(is_part) && !code[..at].ends_with("::")
    })
}

fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let raw = rest.strip_prefix('r').map(|raw| raw.trim_start_matches('#'));
        let is_literal =
            !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') || code.ends_with('b');
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(raw) = raw.filter(|raw| is_literal && raw.starts_with('"')) {
            let hashes = rest.len() - 1 - raw.len();
            let end = format!("\"{}", "#".repeat(hashes));
            code.push_str("\"\"");
            hashes + 2 + raw[1..].find(&end).map_or(raw.len() - 1, |at| at + end.len())
        } else if c == '"' {
            code.push_str("\"\"");
            1 + literal_length(&rest[1..], '"')
        } else if let Some(quoted) = rest.strip_prefix('\'').filter(|quoted| is_char(quoted)) {
            code.push_str("''");
            1 + literal_length(quoted, '\'')
        } else {
            code.push(c);
            c.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

/// Tells a character from a lifetime.
fn is_char(quoted: &str) -> bool {
    let mut chars = quoted.chars();
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

/// Bytes up to the end of a literal, its quote included.
fn literal_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
