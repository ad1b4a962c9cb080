//! The server is killed in the middle, again and again.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fss::store::{Finding, OpenOptions, verify_directory};
use fss::{Cookie, SystemClock, SystemRng, WallClock};
use rand_core::Rng as _;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::load::Failure;
use crate::load::client::Client;
use crate::load::figures::Figures;
use crate::load::options::Options;
use crate::load::process::{Server, directory};

/// Clients that upload, each on a connection of its own.
const CLIENTS: usize = 20;
/// The largest file, in bytes; most are smaller.
const LARGEST: u32 = 256 * 1024;
/// The longest time that a server gets, in milliseconds.
const LONGEST: u32 = 400;

/// A clock by which all leases are over.
struct TwoDaysLater;

impl WallClock for TwoDaysLater {
    fn unix_seconds(&self) -> u64 {
        SystemClock.unix_seconds() + 2 * 24 * 60 * 60
    }
}

pub async fn load(options: &Options, rounds: usize, figures: &mut Figures) -> Result<(), Failure> {
    let place = directory(options)?;
    let data = place.path().join("data");
    let client = Client::new()?;
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    let (mut lost, mut damaged) = (0, 0);
    for _ in 0..rounds {
        let server = Server::start(options, &data, &[])?;
        // What the last one acknowledged, before this one gets anything to do.
        let (missing, not_whole) =
            look(&data, &acknowledged.lock().unwrap_or_else(PoisonError::into_inner))?;
        lost += missing;
        damaged += not_whole;
        let mut running = JoinSet::new();
        for _ in 0..CLIENTS {
            running.spawn(upload_until_it_dies(
                client.clone(),
                server.address.clone(),
                Arc::clone(&acknowledged),
            ));
        }
        sleep(Duration::from_millis((SystemRng.next_u32() % LONGEST).into())).await;
        server.kill()?;
        while running.join_next().await.is_some() {}
    }
    let acknowledged =
        std::mem::take(&mut *acknowledged.lock().unwrap_or_else(PoisonError::into_inner));
    // The last start is that of a store whose clock says that all leases are over.
    let store = OpenOptions::default().clock(TwoDaysLater).open(&data)?;
    let (missing, not_whole) = look(&data, &acknowledged)?;
    let staged = std::fs::read_dir(data.join(".incoming"))?.count();
    let (files, visible) = (store.count()?, visible(&data)?);

    figures.tell("times that the server was killed", rounds.to_string());
    figures.tell("  acknowledged files", acknowledged.len().to_string());
    figures.check("  of which lost", (lost + missing).to_string(), "none", lost + missing == 0);
    figures.check(
        "  files that are there and not whole",
        (damaged + not_whole).to_string(),
        "none",
        damaged + not_whole == 0,
    );
    figures.check("  left of uploads after their leases", staged.to_string(), "none", staged == 0);
    figures.check(
        "  files on the disk that no record has",
        visible.abs_diff(files).to_string(),
        "none",
        visible == files,
    );
    Ok(())
}

async fn upload_until_it_dies(
    client: Client,
    address: String,
    acknowledged: Arc<Mutex<HashSet<Cookie>>>,
) {
    let Ok(mut connection) = client.connect(&address).await else { return };
    loop {
        // Files of all sizes, small ones more often.
        let size = SystemRng.next_u32() % (LARGEST >> (SystemRng.next_u32() % 10));
        let content = vec![7; usize::try_from(size).unwrap_or(0)];
        match connection.upload(&content).await {
            Ok(cookie) => {
                acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(cookie);
            }
            Err(_) => return,
        }
    }
}

/// How many files are not there that should be, and how many are there that are not whole.
fn look(data: &Path, acknowledged: &HashSet<Cookie>) -> Result<(usize, u64), Failure> {
    let mut whole = HashSet::new();
    let verified = verify_directory(data, |cookie, finding| {
        if *finding == Finding::Intact {
            whole.insert(cookie.clone());
        }
    })?;
    Ok((acknowledged.difference(&whole).count(), verified.damaged))
}

/// Directories of files.
fn visible(data: &Path) -> Result<usize, Failure> {
    let entries = std::fs::read_dir(data)?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries.iter().filter(|entry| entry.file_name().to_string_lossy().starts_with("F-")).count())
}
