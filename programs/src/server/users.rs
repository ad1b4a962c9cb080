//! `users`: administers users and invites, with or without a running server.

use std::path::Path;

use fss::SystemRng;
use fss::store::{StoreError, StoreErrorKind, UserName, Users};

use crate::server::options::{Quota, UsersCommand};
use crate::terminal::failure::{Failure, code, typed};
use crate::terminal::print;

pub fn run(data: &Path, command: &UsersCommand) -> Result<(), Failure> {
    let users = Users::open(data)?;
    match command {
        UsersCommand::List => {
            for user in users.list()? {
                let quota = user.quota.map_or_else(|| "-".to_owned(), |quota| quota.to_string());
                print::line(format_args!(
                    "{}\t{}\t{}\t{quota}",
                    user.name.as_str(),
                    user.key,
                    user.used
                ))?;
            }
        }
        UsersCommand::Add { name, key, quota } => {
            users.add(key, &valid(name)?, *quota).map_err(|error| not_added(name, error))?;
        }
        UsersCommand::Remove { name } => known(users.remove(&valid(name)?)?, name)?,
        UsersCommand::Quota { name, quota: Quota(quota) } => {
            known(users.set_quota(&valid(name)?, *quota)?, name)?;
        }
        UsersCommand::Invite { quota } => {
            print::line(users.invite(&mut SystemRng, *quota)?.encode())?;
        }
    }
    Ok(())
}

fn valid(name: &str) -> Result<UserName, Failure> {
    UserName::parse(name.as_bytes()).map_err(|error| {
        let what = format!("{name:?} cannot be the name of a user");
        Failure::usage(what, error.to_string(), "another name")
    })
}

fn not_added(name: &str, error: StoreError) -> Failure {
    if !matches!(error.kind(), StoreErrorKind::Exists | StoreErrorKind::NameTaken) {
        return error.into();
    }
    Failure::new(
        code::OTHER,
        format!("{name} is not added"),
        error.to_string(),
        format!("to see all: {}", typed("users list")),
    )
}

fn known(there: bool, name: &str) -> Result<(), Failure> {
    if there {
        return Ok(());
    }
    let why = "no user has this name";
    Err(Failure::new(
        code::OTHER,
        format!("there is no user {name:?}"),
        why,
        format!("to see all: {}", typed("users list")),
    ))
}
