//! The menu of the 2019 client, for a terminal: download, upload, change the password, exit.

use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::client::account::Account;
use crate::client::download::{DownloadOptions, download};
use crate::client::listing;
use crate::client::options::Options;
use crate::client::source::Compress;
use crate::client::upload::{UploadOptions, upload_all};
use crate::terminal::failure::Failure;
use crate::terminal::print;

/// Asks until the user leaves, or standard input ends. What fails is told, and the menu goes on.
pub fn run(account: &Account, options: &Options) -> Result<(), Failure> {
    // The password opens the program, as in 2019.
    account.unlock()?;
    loop {
        print::line(
            "\n  1  Download a file\n  2  Upload a file\n  3  Change the password\n  4  Exit",
        )?;
        let Some(choice) = ask("Your choice: ") else { return Ok(()) };
        let done = match choice.as_str() {
            "1" => choose_download(account, options),
            "2" => choose_upload(account, options),
            "3" => account.change_password(false),
            "4" => return Ok(()),
            "" => Ok(()),
            other => Err(Failure::usage(
                "This Operation Does Not Exist",
                format!("{other:?} is not one of the choices"),
                "1, 2, 3 or 4",
            )),
        };
        if let Err(failure) = done {
            failure.report();
        }
    }
}

fn choose_download(account: &Account, options: &Options) -> Result<(), Failure> {
    listing::show(account, &account.profile.files().list()?)?;
    let Some(file) = ask("Name or cookie: ").filter(|file| !file.is_empty()) else { return Ok(()) };
    let output = ask("Save as [its own name]: ").filter(|path| !path.is_empty()).map(PathBuf::from);
    download(
        account,
        options,
        &DownloadOptions {
            file: &file,
            output: output.as_deref(),
            force: false,
            own_password: false,
            size: None,
        },
    )
}

fn choose_upload(account: &Account, options: &Options) -> Result<(), Failure> {
    let Some(path) = ask("File: ").filter(|path| !path.is_empty()) else { return Ok(()) };
    let how = UploadOptions {
        name: None,
        own: None,
        keep: None,
        downloads: None,
        compress: Compress::Auto,
    };
    upload_all(account, options, &[PathBuf::from(path)], false, how).map(drop)
}

/// A line from the user; `None` at the end of input.
fn ask(question: &str) -> Option<String> {
    // If nobody sees the question, nobody answers it.
    write!(io::stdout(), "{question}").and_then(|()| io::stdout().flush()).ok()?;
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(count) if count > 0 => Some(line.trim().to_owned()),
        _ => None,
    }
}
