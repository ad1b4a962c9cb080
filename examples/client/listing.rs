//! The list of files: shown, and shortened.

use std::io::IsTerminal as _;

use fss::profile::FileRecord;

use crate::account::Account;
use crate::print;
use crate::support::failure::{Failure, code, printable};

/// One file a line: date, size, cookie, name.
pub fn show(files: &[FileRecord]) -> Result<(), Failure> {
    files.iter().try_for_each(|file| print::line(line(file)))
}

/// The line of a file.
pub fn line(file: &FileRecord) -> String {
    let size = file.size.map_or_else(|| "?".to_owned(), |size| size.to_string());
    let own = if file.own_password { " (own password)" } else { "" };
    format!("{}  {size:>12}  {}  {}{own}", printable(&file.date), file.cookie, printable(&file.name))
}

pub fn forget(account: &Account, name_or_cookie: &str) -> Result<(), Failure> {
    let file = account.find(name_or_cookie)?.ok_or_else(|| not_listed(name_or_cookie))?;
    account.profile.files().remove(&file.cookie)?;
    Ok(())
}

pub fn clean(account: &Account, yes: bool) -> Result<(), Failure> {
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage("nothing was taken off the list", "there is no terminal to ask on", "clean --yes"));
        }
        eprint!("Without its cookie a file cannot be downloaded again. Forget all cookies? [y/N] ");
        let mut answer = String::new();
        if std::io::stdin().read_line(&mut answer).is_err() || !answer.trim().eq_ignore_ascii_case("y") {
            return Ok(());
        }
    }
    let count = account.profile.files().clean()?;
    print::line(format_args!("{count} files are off the list."))
}

pub fn not_listed(name_or_cookie: &str) -> Failure {
    let why = format!("no file of yours has the name or cookie {name_or_cookie:?}");
    Failure::new(code::NO_SUCH_FILE, "Record not found", why, "`list` to see your files")
}
