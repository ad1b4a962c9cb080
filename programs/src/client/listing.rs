//! The list of files: shown, and shortened.

use std::time::{Duration, UNIX_EPOCH};

use fss::profile::FileRecord;
use fss::store::Entry;
use serde_json::json;

use crate::client::account::Account;
use crate::client::options::Options;
use crate::client::report;
use crate::terminal::failure::{Failure, code, typed};
use crate::terminal::print;
use fss::text::printable;

/// Shows the files, or only those of the server that the command line names.
pub fn list(
    account: &Account,
    options: &Options,
    mut files: Vec<FileRecord>,
) -> Result<(), Failure> {
    if let Some(server) = options.named_server() {
        files
            .retain(|file| file.server.as_ref().is_some_and(|of| of.eq_ignore_ascii_case(&server)));
    }
    show(account, &files)
}

/// One file a line: date, size, cookie, name.
pub fn show(account: &Account, files: &[FileRecord]) -> Result<(), Failure> {
    files.iter().try_for_each(|file| account.reporter.result(line(file), report::record(file)))
}

/// The line of a file.
pub fn line(file: &FileRecord) -> String {
    let size = file.size.map_or_else(|| "?".to_owned(), |size| size.to_string());
    let own = if file.own_password { " (own password)" } else { "" };
    let downloads =
        file.downloads.map_or_else(String::new, |count| format!(" ({})", downloads(count)));
    let expires =
        file.expires.map_or_else(String::new, |expires| format!(" (until {})", date(expires)));
    format!(
        "{}  {size:>12}  {}  {}{own}{downloads}{expires}",
        printable(&file.date),
        file.cookie,
        printable(&file.name)
    )
}

/// The line of a file that a server has, with its name if the profile knows it.
pub fn remote_line(entry: &Entry, name: Option<&str>) -> String {
    let left = match entry.downloads {
        None => String::new(),
        Some(1) => " (1 download left)".to_owned(),
        Some(left) => format!(" ({left} downloads left)"),
    };
    let expires =
        entry.expires.map_or_else(String::new, |expires| format!(" (until {})", date(expires)));
    let name = printable(name.unwrap_or("?"));
    format!("{}  {:>12}  {}  {name}{left}{expires}", date(entry.stored), entry.size, entry.cookie)
}

/// For how many downloads a file is kept.
pub fn downloads(count: u64) -> String {
    if count == 1 { "for 1 download".to_owned() } else { format!("for {count} downloads") }
}

/// Seconds since 1970, in UTC.
pub fn date(seconds: u64) -> String {
    // A server may say anything.
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds.min(LAST_SECOND)));
    time.map_or_else(|| "?".to_owned(), |time| humantime::format_rfc3339_seconds(time).to_string())
}

/// The end of the year 9999: what comes later has no date that could be read.
const LAST_SECOND: u64 = 253_402_300_799;

pub fn forget(account: &Account, name_or_cookie: &str) -> Result<(), Failure> {
    let file = account.find(name_or_cookie)?.ok_or_else(|| not_listed(name_or_cookie))?;
    account.profile.files().remove(&file.cookie)?;
    let text = format!("{} is off the list; the server keeps it", file.name);
    account.reporter.done(&text, json!({ "event": "forgotten", "cookie": file.cookie.as_str() }))
}

pub fn clean(account: &Account, yes: bool) -> Result<(), Failure> {
    if !yes {
        if !print::can_ask() {
            return Err(Failure::usage(
                "nothing was taken off the list",
                "there is no terminal to ask on",
                typed("clean --yes"),
            ));
        }
        let lost =
            "Files of others, and of FSS 1.0, cannot be downloaded again without their cookies.";
        if !print::confirms(format_args!("{lost} Forget all cookies?")) {
            return Ok(());
        }
    }
    let count = account.profile.files().clean()?;
    account.reporter.result(
        format_args!("{count} files are off the list."),
        json!({ "event": "cleaned", "count": count }),
    )
}

pub fn not_listed(name_or_cookie: &str) -> Failure {
    let why = format!("no file of yours has the name or cookie {name_or_cookie:?}");
    Failure::new(
        code::NO_SUCH_FILE,
        "Record not found",
        why,
        format!("to see your files: {}", typed("list")),
    )
}
