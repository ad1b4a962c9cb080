//! One file goes to a server and comes back, on this machine, in a few seconds: `cargo run --release --example quickstart`.
//!
//! Server and client run in one process, over a real socket, with a real store in a temporary directory.

#[path = "support/driver.rs"]
mod driver;

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use driver::{Call, run};
use fss::client::legacy::{ClientEvent, ClientSession, FileNeed};
use fss::store::EmbeddedStore;
use fss::{Config, OpaqueCookie, Password, ServerSession};

const FILE: &[u8] = include_bytes!("../README.md");

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = EmbeddedStore::in_directory(directory.path())?;
    let server = Config::generate()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("A server listens on {address}, with the key {}.", server.identity().public_key().fingerprint());
    let serving = store.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut session = ServerSession::with_config(&serving, server.clone());
            if let Err(error) = run(&mut session, &stream, |_, _| Ok::<_, fss::Error>(())) {
                eprintln!("server: {error}");
            }
        }
    });

    let client = Config::generate()?;
    let password = Password::new("correct horse battery staple")?;
    let started = Instant::now();
    let cookie = upload(client.clone(), &password, address)?;
    println!("Uploaded {} bytes in {:.1?}. The cookie is {cookie}.", FILE.len(), started.elapsed());
    println!("The store has {} file, encrypted, in {}.", store.count()?, directory.path().display());

    let started = Instant::now();
    let file = download(client, &cookie, &password, address)?;
    println!("Downloaded {} bytes in {:.1?}.", file.len(), started.elapsed());
    if file != FILE {
        return Err("the file that came back is another".into());
    }
    println!("It is the same file.");
    Ok(())
}

fn upload(config: Config, password: &Password, address: std::net::SocketAddr) -> Result<OpaqueCookie, Box<dyn Error>> {
    let mut session = ClientSession::upload(config, password);
    let (mut rest, mut uploaded) = (FILE, None);
    run(&mut session, &TcpStream::connect(address)?, |session, call| {
        match call {
            Call::Need(_) => {
                let count = session.supply().len().min(rest.len());
                session.supply()[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                session.supplied(count);
            }
            Call::Event(ClientEvent::Uploaded { cookie, .. }) => uploaded = Some(cookie),
            Call::Event(_) => {}
        }
        Ok::<_, fss::Error>(())
    })?;
    uploaded.ok_or_else(|| "the upload was not acknowledged".into())
}

fn download(
    config: Config,
    cookie: &OpaqueCookie,
    password: &Password,
    address: std::net::SocketAddr,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut session = ClientSession::download(config, cookie, password, Some(FILE.len() as u64));
    let mut file = Vec::new();
    run(&mut session, &TcpStream::connect(address)?, |session, call| {
        if let Call::Need(FileNeed::Data) = call {
            file.extend_from_slice(session.data());
            let count = session.data().len();
            session.consumed(count);
        }
        Ok::<_, fss::Error>(())
    })?;
    Ok(file)
}
