//! Teaches: a server on tokio within another program, behind a balancer that sends PROXY headers,
//! which stops in order: `cargo run --example embed_tokio -- 127.0.0.1:9540`. It stops when its
//! standard input ends (ctrl-D).
//!
//! Its files are gone when it ends. A real one has `EmbeddedStore` for a store, and keeps its key
//! (`fss::key_file`).

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use fss::driver::Server;
use fss::driver::tokio::serve_listener;
use fss::{Config, MemoryStore};
use tokio::net::TcpListener;

/// Where the balancer connects from. A header counts from nowhere else, and is required from there.
const BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9540".to_owned());
    let config = Config::generate()?;
    let key = config.identity().public_key().fingerprint();
    let server = Server::new(config, MemoryStore::new())
        .with_trusted_proxies(|address| address == BALANCER)
        .with_observer(|client, event: &_| println!("{client}: {event:?}"))
        .with_drain(Duration::from_secs(5));
    // Any thread or task may start the shutdown: the end of the program that this server is part of.
    let shutdown = server.shutdown().clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        shutdown.start();
    });
    let listener = TcpListener::bind(address).await?;
    println!("listening on {} with the key {key}", listener.local_addr()?);
    serve_listener(listener, Arc::new(server)).await;
    println!("stopped");
    Ok(())
}
