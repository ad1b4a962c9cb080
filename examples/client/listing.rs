//! The list of files: shown, and shortened.

use std::io::{IsTerminal as _, Write};

use fss::profile::FileRecord;

use crate::account::Account;
use crate::support::failure::{Failure, code, printable};

pub fn show(files: &[FileRecord]) {
    show_to(&mut std::io::stdout(), files);
}

/// One file a line: date, size, cookie, name. A closed pipe is no reason to complain.
pub fn show_to(output: &mut impl Write, files: &[FileRecord]) {
    for file in files {
        let size = file.size.map_or_else(|| "?".to_owned(), |size| size.to_string());
        let own = if file.own_password { " (own password)" } else { "" };
        let line = format!("{}  {size:>12}  {}  {}{own}", printable(&file.date), file.cookie, printable(&file.name));
        if writeln!(output, "{line}").is_err() {
            return;
        }
    }
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
    println!("{count} files are off the list.");
    Ok(())
}

pub fn not_listed(name_or_cookie: &str) -> Failure {
    let why = format!("no file of yours has the name or cookie {name_or_cookie:?}");
    Failure::new(code::NO_SUCH_FILE, "Record not found", why, "`list` to see your files")
}
