//! Dispatches the command line to the commands.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::client::account::{self, Account};
use crate::client::options::{Command, EXAMPLES, EXIT_CODES, Options};
use crate::client::report::{Outcome, Reporter};
use crate::client::{download, interrupt, listing, menu, requests, upload};
use crate::reference::Manual;
use crate::terminal::failure::Failure;

const MANUAL: Manual = Manual {
    section: "1",
    examples: EXAMPLES,
    exit_codes: EXIT_CODES,
    secrets: &[
        (account::PASSWORD, "The profile's password"),
        (account::NEW_PASSWORD, "The new password of change-password"),
        (account::FILE_PASSWORD, "The password of a file with its own"),
        (requests::INVITE, "The invite of sign-up --invite"),
    ],
    variables: &[(
        "FSS_SERVER",
        "The server to use if neither --server nor a file's record names one.",
    )],
    files: &[(
        "$XDG_DATA_HOME/fss",
        "The profile, unless --profile names another directory: its key, the list of files, the \
             keys of known servers, and the journals of interrupted transfers. Without XDG_DATA_HOME \
             it is ~/.local/share/fss.",
    )],
    see_also: "fss-server(8)",
};

/// Does what the command line says. Gives the exit code.
pub fn main(options: &Options) -> ExitCode {
    let reporter = Reporter::new(options);
    if let Err(error) = interrupt::watch(reporter) {
        reporter.warn(&format!("an interrupted download will leave its part file: {error}"));
    }
    if let Some(Command::Reference(reference)) = &options.command {
        let done = reference.run(Options::command(), &MANUAL);
        return done.map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS);
    }
    let outcome = run(options, reporter)
        .unwrap_or_else(|failure| Outcome::failed(reporter.failure(&failure)));
    reporter.summary(&outcome)
}

fn run(options: &Options, reporter: Reporter) -> Result<Outcome, Failure> {
    let Some(command) = &options.command else {
        if !std::io::stdin().is_terminal() {
            let hint = format!("one of: {}", command_names().join(", "));
            return Err(Failure::usage("no command was given", "the menu needs a terminal", hint));
        }
        return menu::run(&Account::open(options, reporter)?, options).map(|()| Outcome::DONE);
    };
    let account = Account::open(options, reporter)?;
    match command {
        Command::Upload { paths, name, own_password, keep, downloads, compress } => {
            let how = upload::UploadOptions {
                name: name.as_deref(),
                own: None,
                keep: *keep,
                downloads: *downloads,
                compress: *compress,
            };
            return upload::upload_all(&account, options, paths, *own_password, how);
        }
        Command::Download { file, output, force, own_password, size } => {
            let wish = download::DownloadOptions {
                file,
                output: output.as_deref(),
                force: *force,
                own_password: *own_password,
                size: *size,
            };
            download::download(&account, options, &wish)?;
        }
        Command::List { remote: true } => requests::list(&account, options)?,
        Command::List { remote: false } => {
            listing::list(&account, options, account.profile.files().list()?)?;
        }
        Command::Search { text } => {
            listing::list(&account, options, account.profile.files().search(text)?)?;
        }
        Command::Forget { file } => listing::forget(&account, file)?,
        Command::Clean { yes } => listing::clean(&account, *yes)?,
        Command::Delete { file, own_password } => {
            requests::delete(&account, options, file, *own_password)?;
        }
        Command::Info => requests::information(&account, options)?,
        Command::SignUp { name, invite } => requests::sign_up(&account, options, name, *invite)?,
        Command::ChangePassword { modern } => account.change_password(*modern)?,
        Command::ForgetServer => account.forget_server(&options.server(None))?,
        Command::Reference(_) => {}
    }
    Ok(Outcome::DONE)
}

fn command_names() -> Vec<String> {
    Options::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}
