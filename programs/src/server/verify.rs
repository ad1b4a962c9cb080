//! `verify`: finds damaged files, with or without a running server.

use std::io::ErrorKind;
use std::path::Path;

use fss::store::{Finding, Verified, verify_directory};

use crate::terminal::failure::{Failure, code};
use crate::terminal::print;
use fss::text::printable;

pub fn run(data: &Path) -> Result<(), Failure> {
    if matches!(data.symlink_metadata(), Err(error) if error.kind() == ErrorKind::NotFound) {
        let what = format!("{} cannot be verified", data.display());
        return Err(Failure::new(
            code::OTHER,
            what,
            "there is no such directory",
            "--data DIR before the command",
        ));
    }
    let mut told = Ok(());
    let verified = verify_directory(data, |cookie, finding| {
        let line = match finding {
            Finding::Damaged(error) => format!("damaged: {}", printable(&error.to_string())),
            Finding::Orphan => format!("without a record: F-{cookie}"),
            Finding::Unreadable(error) => format!("unreadable: {}", printable(&error.to_string())),
            Finding::Intact | Finding::Unrecorded => return,
        };
        if told.is_ok() {
            told = print::line(line);
        }
    })?;
    told?;
    let Verified { whole, unrecorded, damaged, orphans, unreadable, .. } = verified;
    let more = [(orphans, "without a record"), (unreadable, "unreadable")]
        .into_iter()
        .filter(|(count, _)| *count > 0);
    let more: String = more
        .flat_map(|(count, what)| {
            [", ".to_owned(), count.to_string(), " ".to_owned(), what.to_owned()]
        })
        .collect();
    print::line(format_args!(
        "{whole} whole, {unrecorded} without a recorded digest, {damaged} damaged{more}"
    ))?;
    let files =
        |count: u64| if count == 1 { "a file is".to_owned() } else { format!("{count} files are") };
    if damaged > 0 {
        let what = format!("{} damaged", files(damaged));
        let why = "what is stored is not what was acknowledged";
        return Err(Failure::new(
            code::INTEGRITY,
            what,
            why,
            "restore from a backup what is listed above",
        ));
    }
    if orphans > 0 {
        let what = format!("{} without a record", files(orphans));
        let why = "the database is not the one that these files were stored with";
        return Err(Failure::new(code::INTEGRITY, what, why, "restore the database from a backup"));
    }
    if unreadable > 0 {
        let what = format!("{} unreadable", files(unreadable));
        return Err(Failure::new(
            code::OTHER,
            what,
            "a permission is missing",
            "run it as the user that the directory belongs to",
        ));
    }
    Ok(())
}
