//! The server: `fss-server --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    fss_programs::server::main(fss_programs::server::Runtime::Tokio)
}
