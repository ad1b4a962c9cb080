//! The FSS client: `cargo run --release --example client -- --help`. It is the program `fss` of
//! `programs/`.

use std::process::ExitCode;

fn main() -> ExitCode {
    fss_programs::client::main()
}
