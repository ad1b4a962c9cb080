//! `verify`: looks for damaged files, beside a running server or without one.

use std::path::Path;

use fss::store::{Finding, Verified, verify_directory};

use crate::support::failure::{Failure, code};
use crate::support::print;
use crate::support::text::printable;

pub fn run(data: &Path) -> Result<(), Failure> {
    if !data.is_dir() {
        let what = format!("{} cannot be verified", data.display());
        return Err(Failure::new(code::OTHER, what, "there is no such directory", "--data DIR before the command"));
    }
    let mut told = Ok(());
    let verified = verify_directory(data, |_, finding| {
        if let Finding::Damaged(error) = finding
            && told.is_ok()
        {
            told = print::line(format_args!("damaged: {}", printable(&error.to_string())));
        }
    })?;
    told?;
    let Verified { whole, unrecorded, damaged } = verified;
    print::line(format_args!("{whole} whole, {unrecorded} without a recorded digest, {damaged} damaged"))?;
    if damaged == 0 {
        return Ok(());
    }
    let what = if damaged == 1 { "a file is damaged".to_owned() } else { format!("{damaged} files are damaged") };
    Err(Failure::new(
        code::INTEGRITY,
        what,
        "what is stored is not what was acknowledged",
        "restore from a backup what is listed above",
    ))
}
