//! The FSS client, blocking: uploads and downloads files, and keeps the list of them.
//!
//! `cargo run --release --example client -- --help`

mod account;
mod download;
mod keyring;
mod legacy;
mod listing;
mod menu;
mod options;
mod output;
mod partial;
mod print;
mod remote;
mod session;
mod source;
mod stopped;
mod upload;

#[path = "../support/mod.rs"]
mod support;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use account::Account;
use clap::{CommandFactory as _, Parser as _};
use options::{Command, Options};
use support::failure::Failure;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Err(error) = output::remove_on_interrupt() {
        eprintln!("warning: an interrupted download will leave its part file: {error}");
    }
    match run(&options) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn run(options: &Options) -> Result<ExitCode, Failure> {
    let Some(command) = &options.command else {
        if !std::io::stdin().is_terminal() {
            let hint = format!("one of: {}", command_names().join(", "));
            return Err(Failure::usage("no command was given", "the menu needs a terminal", hint));
        }
        return menu::run(&Account::open(options)?, options).map(|()| ExitCode::SUCCESS);
    };
    let account = Account::open(options)?;
    match command {
        Command::Upload { paths, name, own_password, keep, downloads } => {
            let how = upload::How { name: name.as_deref(), own: None, keep: *keep, downloads: *downloads };
            return upload::upload_all(&account, options, paths, *own_password, how);
        }
        Command::Download { file, output, force, own_password, size } => {
            let wish =
                download::Wish { file, output: output.as_deref(), force: *force, own_password: *own_password, size: *size };
            download::download(&account, options, &wish)?;
        }
        Command::List { remote: true } => remote::list(&account, options)?,
        Command::List { remote: false } => listing::show(&account.profile.files().list()?)?,
        Command::Search { text } => listing::show(&account.profile.files().search(text)?)?,
        Command::Forget { file } => listing::forget(&account, file)?,
        Command::Clean { yes } => listing::clean(&account, *yes)?,
        Command::Delete { file, own_password } => remote::delete(&account, options, file, *own_password)?,
        Command::Info => remote::information(&account, options)?,
        Command::SignUp { name, invite } => remote::sign_up(&account, options, name, invite.as_ref())?,
        Command::ChangePassword { modern } => account.change_password(*modern)?,
        Command::ForgetServer => account.forget_server(&options.server(None))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn command_names() -> Vec<String> {
    Options::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}
