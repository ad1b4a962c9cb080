//! `verify`: tells the operator which stored files are not what was stored.

use fss::store::Finding;

use crate::options::Options;
use crate::support::failure::{Failure, code, printable};

pub fn run(options: &Options) -> Result<(), Failure> {
    if !options.data.is_dir() {
        let what = format!("{} cannot be verified", options.data.display());
        return Err(Failure::new(code::OTHER, what, "there is no such directory", "--data DIR before the command"));
    }
    let verified = options.open_store()?.verify(|_, finding| {
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
