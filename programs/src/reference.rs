//! Manual pages and shell completions, from the definitions that parse the command line.

// Help texts are shown as they are written, without markup.
#![allow(clippy::doc_markdown)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::terminal::failure::{Failure, io_code, program};
use crate::terminal::print;
use crate::terminal::secrets::Wanted;

/// The commands that print reference material. Both programs have them.
#[derive(Debug, Subcommand)]
pub enum Reference {
    /// Print completions for a shell, to be put where it looks for them
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page, or write the pages of all commands
    Man {
        /// Directory to write the pages to, a file for each command; created if it does not exist
        #[arg(long, env = "FSS_MAN_OUTPUT", value_name = "DIR")]
        output: Option<PathBuf>,
    },
}

/// What the manual pages of a program have beyond the definitions of its command line.
pub struct Manual {
    /// The section of the manual: 1 for commands, 8 for daemons.
    pub section: &'static str,
    /// A heading, then a command on each line, and what it does after two spaces or more.
    pub examples: &'static str,
    pub exit_codes: &'static [(u8, &'static str)],
    pub secrets: &'static [(Wanted, &'static str)],
    /// Variables that are neither an option's nor a secret's.
    pub variables: &'static [(&'static str, &'static str)],
    pub files: &'static [(&'static str, &'static str)],
    /// Pages of other programs.
    pub see_also: &'static str,
}

/// The exit codes as the last line of a program's help.
pub fn exit_codes(codes: &[(u8, &str)]) -> String {
    let codes: Vec<String> =
        codes.iter().map(|(code, meaning)| format!("{code} {meaning}")).collect();
    format!("Exit codes: {}.", codes.join(", "))
}

impl Reference {
    /// Prints or writes what is asked for.
    pub fn run(&self, mut definitions: Command, manual: &Manual) -> Result<(), Failure> {
        match self {
            Self::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut definitions, program(), &mut script);
                print::line(String::from_utf8_lossy(&script).trim_end())
            }
            Self::Man { output: None } => {
                let page = manual.page(&built(definitions), None).map_err(|error| {
                    Failure::new(io_code(&error), "cannot make the page", error.to_string(), "")
                })?;
                print::line(String::from_utf8_lossy(&page).trim_end())
            }
            Self::Man { output: Some(directory) } => {
                let definitions = built(definitions);
                let written = fs::create_dir_all(directory)
                    .and_then(|()| manual.write(&definitions, None, directory));
                written.map_err(|error| {
                    Failure::new(
                        io_code(&error),
                        format!("cannot write manual pages to {}", directory.display()),
                        error.to_string(),
                        "a directory that you may write to",
                    )
                })
            }
        }
    }
}

/// With names and inherited options filled in, and without `help`, which needs no page.
fn built(definitions: Command) -> Command {
    let mut definitions = definitions.disable_help_subcommand(true);
    definitions.build();
    definitions
}

impl Manual {
    /// Writes the page of a command, and those of its subcommands.
    fn write(
        &self,
        command: &Command,
        program: Option<&Command>,
        directory: &Path,
    ) -> io::Result<()> {
        let path = directory.join(format!("{}.{}", page_name(command), self.section));
        fs::write(path, self.page(command, program)?)?;
        command
            .get_subcommands()
            .try_for_each(|inner| self.write(inner, Some(program.unwrap_or(command)), directory))
    }

    /// The page of a program, or of a command of it.
    fn page(&self, command: &Command, program: Option<&Command>) -> io::Result<Vec<u8>> {
        let root = program.unwrap_or(command);
        let version = root.get_version().unwrap_or_default();
        let man = Man::new(command.clone())
            .section(self.section)
            // Without a date: roff would take the next argument for it if it were empty.
            .date(" ")
            .source(format!("{} {version}", root.get_name()))
            .manual("File Saving Service");
        let mut page = Vec::new();
        man.render_title(&mut page)?;
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        if command.has_subcommands() {
            man.render_subcommands_section(&mut page)?;
        }
        let mut rest = Roff::new();
        rest.control("SH", ["EXIT STATUS"]);
        for (code, meaning) in self.exit_codes {
            entry(&mut rest, bold(code.to_string()), [roman(*meaning)]);
        }
        self.environment(&mut rest, command);
        rest.control("SH", ["FILES"]);
        for (path, meaning) in self.files {
            entry(&mut rest, italic(*path), [roman(*meaning)]);
        }
        if program.is_none() {
            rest.control("SH", ["EXAMPLES"]);
            for line in self.examples.lines().skip(1).map(str::trim) {
                let (typed, meaning) = line.split_once("  ").unwrap_or((line, ""));
                entry(&mut rest, bold(typed), [roman(meaning.trim())]);
            }
        }
        rest.control("SH", ["SEE ALSO"]);
        let own = program.map(|program| format!("{}({}), ", page_name(program), self.section));
        rest.text([roman(own.unwrap_or_default()), roman(self.see_also)]);
        rest.to_writer(&mut page)?;
        Ok(page)
    }

    fn environment(&self, page: &mut Roff, command: &Command) {
        page.control("SH", ["ENVIRONMENT"]);
        for option in command.get_arguments() {
            let Some((variable, long)) = option.get_env().zip(option.get_long()) else { continue };
            let meaning = if takes_value(option) {
                [roman("The value of "), bold(format!("--{long}")), roman(".")]
            } else {
                let unless = ", unless it is empty, 0, no, off or false.";
                [roman("As "), bold(format!("--{long}")), roman(unless)]
            };
            entry(page, bold(variable.to_string_lossy()), meaning);
        }
        for (variable, meaning) in self.variables {
            entry(page, bold(*variable), [roman(*meaning)]);
        }
        for (Wanted { variable, .. }, meaning) in self.secrets {
            let names = format!("{variable}, {variable}_FILE, {variable}_COMMAND");
            let meaning = format!(
                "{meaning}: itself, the file whose first line it is, or the command that prints it."
            );
            entry(page, bold(names), [roman(meaning)]);
        }
    }
}

fn page_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn takes_value(option: &Arg) -> bool {
    option.get_action().takes_values()
}

/// A paragraph with a term before it.
fn entry<const N: usize>(page: &mut Roff, term: Inline, text: [Inline; N]) {
    page.control("TP", []);
    page.text([term]);
    page.text(text);
}
