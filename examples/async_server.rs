//! The FSS server on tokio, for thousands of connections: `cargo run --release --example
//! async_server -- --help`. It is the program `fss-server` of `programs/`.

use std::process::ExitCode;

use fss_programs::server;

fn main() -> ExitCode {
    server::main(server::Runtime::Tokio)
}
