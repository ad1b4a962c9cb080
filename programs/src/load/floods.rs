//! Clients that are none: slow ones that hold their places, and fast ones that send garbage.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fss::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::load::Failure;
use crate::load::client::Client;
use crate::load::figures::{Figures, milliseconds, p99};
use crate::load::options::Options;
use crate::load::process::{Server, directory};

/// Uploads by honest clients, one after another, of which 99 of 100 are looked at.
const HONEST: usize = 200;
/// A byte in this time: slower than any machine, and soon enough that a socket's timeout does not
/// come.
const BETWEEN: Duration = Duration::from_secs(10);
/// When a slow client must be gone: the time for the handshake, that for lingering, and a little
/// more.
const GONE_BY: Duration = Duration::from_secs(15);

pub async fn loris(
    options: &Options,
    clients: usize,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let place = directory(options)?;
    let server = Server::start(options, &place.path().join("data"), &[])?;
    let client = Client::new()?;
    let alone = honest(&client, &server.address).await?;

    let key: Arc<[u8]> = Config::generate()?.identity().public_key().to_pem().into();
    let here = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut floods = JoinSet::new();
    for number in 0..clients {
        let stream = TcpStream::connect(&server.address).await?;
        here.fetch_add(1, Ordering::Relaxed);
        // One half does not get to the end of its key, the other not to that of its hello.
        let said = if number % 2 == 0 { key[..1].to_vec() } else { key.to_vec() };
        let here = Arc::clone(&here);
        floods.spawn(async move {
            dribble(stream, &said).await;
            here.fetch_sub(1, Ordering::Relaxed);
        });
    }
    let opened = start.elapsed();
    let meanwhile = honest(&client, &server.address).await?;
    let still_here = here.load(Ordering::Relaxed);
    let _ = timeout(GONE_BY, async { while floods.join_next().await.is_some() {} }).await;
    let left = here.load(Ordering::Relaxed);

    figures.tell("slow clients", clients.to_string());
    figures.tell("  opened within", format!("{:.1} s", opened.as_secs_f64()));
    figures.tell("  still there when the honest ones were done", still_here.to_string());
    let ratio = tell_honest(alone, meanwhile, figures);
    figures.check("  ratio", format!("{ratio:.2}"), "at most 2", ratio <= 2.0);
    figures.check("  left after their deadlines", left.to_string(), "none", left == 0);
    Ok(())
}

/// Says a byte now and then, until the server closes.
async fn dribble(mut stream: TcpStream, said: &[u8]) {
    if stream.write_all(said).await.is_err() {
        return;
    }
    let mut room = [0; 4096];
    loop {
        tokio::select! {
            read = stream.read(&mut room) => match read {
                Ok(count) if count > 0 => {}
                _ => return,
            },
            () = sleep(BETWEEN) => {
                if stream.write_all(b"M").await.is_err() {
                    return;
                }
            }
        }
    }
}

pub async fn garbage(
    options: &Options,
    clients: usize,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let place = directory(options)?;
    let server = Server::start(options, &place.path().join("data"), &[])?;
    let client = Client::new()?;
    let alone = honest(&client, &server.address).await?;

    let key = Config::generate()?.identity().public_key().to_pem();
    let said: Arc<[u8]> = [key, vec![0xa5; 64 * 1024]].concat().into();
    let (address, before, start) = (server.address.clone(), server.used()?, Instant::now());
    let flood = tokio::spawn(async move {
        // As many at once as one machine would have.
        let mut running = JoinSet::new();
        let mut done = 0;
        for _ in 0..clients {
            if running.len() >= 200 {
                done += usize::from(running.join_next().await.is_some());
            }
            let (address, said) = (address.clone(), Arc::clone(&said));
            running.spawn(async move {
                let Ok(mut stream) = TcpStream::connect(&address).await else { return };
                // The server may close before it has all.
                let _ = stream.write_all(&said).await;
                let _ = stream.shutdown().await;
                let mut room = [0; 4096];
                while matches!(stream.read(&mut room).await, Ok(count) if count > 0) {}
            });
        }
        done + running.join_all().await.len()
    });
    let meanwhile = honest(&client, &server.address).await?;
    let honest_time = start.elapsed();
    let sent = flood.await?;
    let (all_time, after) = (start.elapsed(), server.used()?);

    figures.tell("clients that send garbage", sent.to_string());
    figures.tell("  a second", format!("{:.0}", count(sent) / all_time.as_secs_f64()));
    let cost = after.time.saturating_sub(before.time).as_secs_f64() * 1e3 / count(sent);
    figures.tell("  processor time of the server for each", format!("{cost:.2} ms"));
    figures.tell("  honest uploads meanwhile, all of them served", meanwhile.len().to_string());
    figures.tell("  which took", format!("{:.1} s", honest_time.as_secs_f64()));
    tell_honest(alone, meanwhile, figures);
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "it is shown with few digits")]
fn count(number: usize) -> f64 {
    number as f64
}

/// The times of uploads of 1 KiB, each on a connection of its own.
async fn honest(client: &Client, address: &str) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::with_capacity(HONEST);
    for _ in 0..HONEST {
        times.push(client.upload_alone(address, 1024).await?);
    }
    Ok(times)
}

/// Gives how many times longer they took.
fn tell_honest(
    mut alone: Vec<Duration>,
    mut meanwhile: Vec<Duration>,
    figures: &mut Figures,
) -> f64 {
    let (alone, meanwhile) = (p99(&mut alone), p99(&mut meanwhile));
    figures.tell("  p99 of an upload of 1 KiB, without them", milliseconds(alone));
    figures.tell("  p99 of an upload of 1 KiB, with them", milliseconds(meanwhile));
    meanwhile.as_secs_f64() / alone.as_secs_f64()
}
