//! A server on tokio within another program, behind a balancer that sends PROXY headers: `cargo run
//! --example embed_tokio`.
//!
//! Its files are gone when it ends. A real one has `EmbeddedStore` for a store, and keeps its key
//! (`fss::locked_key`).

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use fss::driver::tokio::{StorageThreads, read_proxy_header, serve};
use fss::server::ServerEngine;
use fss::{Config, MemoryStore};
use tokio::net::TcpListener;

/// Where the balancer connects from. A header counts from nowhere else.
const BALANCER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (config, store, threads) =
        (Config::generate()?, MemoryStore::new(), StorageThreads::default());
    let keys = config.clone();
    tokio::spawn(async move {
        // So that no connection waits for a key to be made.
        while keys.renew_transport_keys().is_ok() {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    });
    let listener = TcpListener::bind("127.0.0.1:9540").await?;
    println!(
        "listening on {} with the key {}",
        listener.local_addr()?,
        config.identity().public_key().fingerprint()
    );
    loop {
        let (mut stream, peer) = listener.accept().await?;
        let (config, store, threads) = (config.clone(), store.clone(), threads.clone());
        tokio::spawn(async move {
            let mut client = peer;
            if peer.ip() == BALANCER {
                match read_proxy_header(&mut stream, config.limits().handshake).await {
                    Ok(source) => client = source.unwrap_or(peer),
                    Err(error) => return println!("{peer}: {error}"),
                }
            }
            let engine = ServerEngine::new(config).with_peer(client.ip());
            let ended =
                serve(stream, engine, store, threads, |event| println!("{client}: {event:?}"))
                    .await;
            println!("{client}: {ended:?}");
        });
    }
}
