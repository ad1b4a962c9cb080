//! Connections that rest after the hello.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::load::client::Client;
use crate::load::figures::{Figures, milliseconds};
use crate::load::options::Options;
use crate::load::process::{Server, directory};
use crate::load::{Failure, client};

/// Hellos at once: more only wait for each other.
const AT_ONCE: usize = 64;
/// KiB of a connection, and MiB of the process.
const OF_ONE: f64 = 20.0;
const OF_ALL: f64 = 256.0;

pub async fn load(
    options: &Options,
    connections: usize,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let place = directory(options)?;
    // Hellos of all take longer than one may rest on a small machine.
    let server = Server::start(options, &place.path().join("data"), &["--idle", "10m"])?;
    let client = Client::new()?;
    // What is made once is there before it is counted.
    client.upload_alone(&server.address, 1024).await?;
    let before = server.used()?;

    let (start, turns) = (Instant::now(), Arc::new(Semaphore::new(AT_ONCE)));
    let mut opening = JoinSet::new();
    for _ in 0..connections {
        let (client, address, turns) = (client.clone(), server.address.clone(), Arc::clone(&turns));
        opening.spawn(async move {
            let _turn = turns.acquire().await;
            client.connect(&address).await
        });
    }
    let open: Vec<client::Connection> =
        opening.join_all().await.into_iter().collect::<Result<_, _>>()?;
    let hellos = start.elapsed();
    let after = server.used()?;
    let fresh = client.upload_alone(&server.address, 1024).await?;

    let of_one = kib(after.memory.saturating_sub(before.memory)) / kib(open.len() as u64);
    let of_all = kib(after.memory) / 1024.0;
    figures.tell("idle connections", open.len().to_string());
    figures.tell("  hellos of all", format!("{:.1} s", hellos.as_secs_f64()));
    figures.check(
        "  memory of one",
        format!("{of_one:.1} KiB"),
        format!("at most {OF_ONE} KiB"),
        of_one <= OF_ONE,
    );
    figures.check(
        "  memory of the process",
        format!("{of_all:.1} MiB"),
        format!("at most {OF_ALL} MiB"),
        of_all <= OF_ALL,
    );
    figures.tell("  an upload of 1 KiB meanwhile", milliseconds(fresh));
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "it is shown with one digit")]
fn kib(number: u64) -> f64 {
    number as f64
}
