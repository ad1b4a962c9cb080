//! The load: `fss-load --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    fss_programs::load::main()
}
