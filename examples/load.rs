//! What a server bears: `cargo run --release --example load -- --help`. It is the program
//! `fss-load` of `programs/`.

use std::process::ExitCode;

fn main() -> ExitCode {
    fss_programs::load::main()
}
