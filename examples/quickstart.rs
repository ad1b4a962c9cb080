//! One file goes to a server and comes back, on this machine, in a few seconds: `cargo run
//! --release --example quickstart`.
//!
//! Server and client run in one process, over a real socket, with a real store in a temporary
//! directory.

use std::error::Error;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use fss::driver::{Server, blocking::serve_listener};
use fss::remote::{Client, Put, Trust};
use fss::store::EmbeddedStore;
use fss::{Config, Password};

const FILE: &[u8] = include_bytes!("../README.md");

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let directory = tempfile::tempdir()?;
    let store = EmbeddedStore::in_directory(directory.path())?;
    let config = Config::generate()?;
    let key = config.identity().public_key().fingerprint();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    writeln!(out, "A server listens on {address}, with the key {key}.")?;
    let server = Arc::new(Server::new(config, store.clone()));
    std::thread::spawn(move || serve_listener(listener, &server));

    let client = Client::new(Config::generate()?, address, Trust::Pinned(key));
    let password = Password::new("correct horse battery staple")?;
    let started = Instant::now();
    let put = Put::named("README.md").size(FILE.len() as u64);
    let stored = client.put(FILE, &password, &put)?;
    writeln!(
        out,
        "Uploaded {} bytes in {:.1?}; most of that made a key of the password.",
        FILE.len(),
        started.elapsed()
    )?;
    writeln!(
        out,
        "The cookie is {}. The server has seen neither password nor content.",
        stored.cookie
    )?;
    writeln!(
        out,
        "The store has {} file, sealed, in {}.",
        store.count()?,
        directory.path().display()
    )?;

    let started = Instant::now();
    let mut file = Vec::new();
    client.get(&stored, &password, &mut file)?;
    writeln!(out, "Downloaded {} bytes in {:.1?}.", file.len(), started.elapsed())?;
    if file != FILE {
        return Err("the file that came back is another".into());
    }
    writeln!(out, "It is the same file.")?;
    Ok(())
}
