//! `verify`: looks for damaged files, beside a running server or without one.

use std::path::Path;

use fss::store::{Finding, verify_directory};

use crate::support::failure::{Failure, code, printable};

pub fn run(data: &Path) -> Result<(), Failure> {
    if !data.is_dir() {
        let what = format!("{} cannot be verified", data.display());
        return Err(Failure::new(code::OTHER, what, "there is no such directory", "--data DIR before the command"));
    }
    let verified = verify_directory(data, |_, finding| {
        if let Finding::Damaged(error) = finding {
            println!("damaged: {}", printable(&error.to_string()));
        }
    })?;
    println!("{} whole, {} without a recorded digest, {} damaged", verified.whole, verified.unrecorded, verified.damaged);
    if verified.damaged == 0 {
        return Ok(());
    }
    let what =
        if verified.damaged == 1 { "a file is damaged".to_owned() } else { format!("{} files are damaged", verified.damaged) };
    Err(Failure::new(
        code::INTEGRITY,
        what,
        "what is stored is not what was acknowledged",
        "restore from a backup what is listed above",
    ))
}
