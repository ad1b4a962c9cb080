//! The FSS server, with a thread for each connection: `cargo run --release --example server --
//! --help`. It is the program `fss-server` of `programs/`, which is on tokio unless told otherwise.

use std::process::ExitCode;

use fss_programs::server;

fn main() -> ExitCode {
    server::main(server::Runtime::Threads)
}
