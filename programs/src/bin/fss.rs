//! The client: `fss --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    fss_programs::client::main()
}
