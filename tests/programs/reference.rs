//! Manual pages and completions tell what `--help` tells: all come from the same definitions.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use regex::Regex;

use fss_test_support::harness::{client_program, fails, run, server_program, succeeds};

type Program = fn() -> Command;

/// The programs, their names, and the sections of their pages.
const PROGRAMS: [(Program, &str, &str); 2] =
    [(client_program, "fss", "1"), (server_program, "fss-server", "8")];

fn help(program: Program, command: &[String]) -> String {
    succeeds(&run(program().args(command).arg("--help")))
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.map_while(|line| line.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

/// Every command of a program with those inside it, the program itself first.
fn all_commands(program: Program) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut next = 0;
    while let Some(command) = all.get(next).cloned() {
        next += 1;
        for name in commands(&help(program, &command)) {
            all.push(command.iter().cloned().chain([name]).collect());
        }
    }
    all
}

fn captures(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// A page as it reads: without the marks of roff.
fn plain(page: &str) -> String {
    page.replace("\\-", "-").replace("\\fB", "").replace("\\fI", "").replace("\\fR", "")
}

#[test]
fn every_command_has_a_page_with_what_its_help_has() {
    for (program, name, section) in PROGRAMS {
        let directory = tempfile::tempdir().expect("made");
        let output = directory.path().join("pages");
        succeeds(&run(program().args(["man", "--output"]).arg(&output)));
        let exit_codes = help(program, &[]);
        let exit_codes = exit_codes.lines().find(|line| line.starts_with("Exit codes:"));
        let exit_codes = captures(r"[:,] ([0-9]+) ", exit_codes.expect("the help has them"));
        assert!(exit_codes.len() > 5, "{exit_codes:?}");

        let mut written = BTreeSet::new();
        for command in all_commands(program) {
            let file =
                format!("{}.{section}", [&[name.to_owned()], &command[..]].concat().join("-"));
            let page = plain(&fs::read_to_string(output.join(&file)).expect("the page is there"));
            let help = help(program, &command);
            for option in captures(r"(?m)^ +(?:-\w, )?(--[a-z-]+)", &help) {
                assert!(
                    page.contains(&format!("\n{option}"))
                        || page.contains(&format!(", {option}\n"))
                        || page.contains(&format!(", {option} ")),
                    "{file} has no {option}:\n{page}"
                );
            }
            for variable in captures(r"\[env: (FSS_\w+)", &help) {
                assert!(
                    page.contains(&format!(".TP\n{variable}\n")),
                    "{file}: {variable}:\n{page}"
                );
            }
            for code in &exit_codes {
                assert!(page.contains(&format!(".TP\n{code}\n")), "{file}: {code}:\n{page}");
            }
            for heading in ["NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"] {
                assert!(
                    page.contains(&format!(".SH {heading}\n"))
                        || page.contains(&format!(".SH \"{heading}\"\n")),
                    "{file}: {heading}:\n{page}"
                );
            }
            is_valid_roff(&output.join(&file));
            written.insert(file);
        }
        let there = fs::read_dir(&output)
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name().into_string().expect("a name"));
        assert_eq!(there.collect::<BTreeSet<_>>(), written, "a page for each command");

        let page = fs::read_to_string(output.join(format!("{name}.{section}"))).expect("there");
        assert_eq!(succeeds(&run(program().arg("man"))), page, "without a directory it is printed");
        assert!(page.contains(".SH EXAMPLES\n"), "{page}");
    }
}

/// Asks those formatters that are installed.
fn is_valid_roff(page: &Path) {
    for (formatter, arguments) in [
        ("groff", &["-ww", "-K", "utf8", "-man", "-T", "utf8", "-z"][..]),
        ("mandoc", &["-T", "lint", "-W", "error"]),
    ] {
        let output = match Command::new(formatter).args(arguments).arg(page).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            output => output.expect("it starts"),
        };
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success() && said.is_empty(),
            "{formatter} {}: {}",
            page.display(),
            String::from_utf8_lossy(&said)
        );
    }
}

#[test]
fn pages_that_cannot_be_written_are_an_error() {
    let directory = tempfile::tempdir().expect("made");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("written");
    for (program, ..) in PROGRAMS {
        let output = run(program().args(["man", "--output"]).arg(&file));
        fails(&output, 1, &["cannot write manual pages to"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn completions_that_cannot_be_written_are_an_error() {
    for (program, ..) in PROGRAMS {
        let full = fs::File::options().write(true).open("/dev/full").expect("there");
        let output =
            program().args(["completions", "bash"]).stdout(full).output().expect("it runs");
        fails(&output, 14, &["cannot write to standard output"]);
    }
}

#[test]
fn shells_get_completions_of_every_command() {
    for (program, _, _) in PROGRAMS {
        let called = program().get_program().to_owned();
        let called = Path::new(&called).file_name().expect("a name").to_string_lossy().into_owned();
        for (shell, tells) in [
            ("bash", format!("_{called}()")),
            ("zsh", format!("#compdef {called}")),
            ("fish", format!("complete -c {called}")),
        ] {
            let script = succeeds(&run(program().args(["completions", shell])));
            assert!(script.contains(&tells), "{shell}: {script}");
            for name in all_commands(program).into_iter().flatten() {
                assert!(script.contains(&name), "{shell} does not know {name} of {called}");
            }
        }
    }
}
