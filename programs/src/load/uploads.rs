//! Small files, durably, as fast as it goes.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use fss::Cookie;
use fss::store::{EmbeddedStore, Store as _, verify_directory};
use tokio::task::JoinSet;

use crate::load::Failure;
use crate::load::client::{Client, Trouble};
use crate::load::figures::{Figures, milliseconds, p99};
use crate::load::options::Options;
use crate::load::process::{Server, directory};

const SIZE: usize = 1024;
/// How long the disk's own rate is measured, before and after.
const PROBE: Duration = Duration::from_secs(3);

pub async fn load(
    options: &Options,
    clients: usize,
    seconds: u64,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let place = directory(options)?;
    let data = place.path().join("data");
    let before = syncs(place.path())?;
    let server = Server::start(options, &data, &[])?;
    let everybody: Vec<Client> = Client::for_uploads(clients)?.collect();
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let mut running = JoinSet::new();
    for (number, client) in everybody.into_iter().enumerate() {
        let address = server.address.clone();
        running.spawn(async move {
            let content = vec![u8::try_from(number % 256).unwrap_or(0); SIZE];
            let mut connection = client.connect(&address).await?;
            let (mut cookies, mut times) = (Vec::new(), Vec::new());
            while Instant::now() < end {
                let start = Instant::now();
                cookies.push(connection.upload(&content).await?);
                times.push(start.elapsed());
            }
            Ok((cookies, times))
        });
    }
    let done: Vec<(Vec<Cookie>, Vec<Duration>)> =
        running.join_all().await.into_iter().collect::<Result<_, Trouble>>()?;
    let took = start.elapsed();
    server.kill()?;
    let after = syncs(place.path())?;

    let (cookies, times): (Vec<_>, Vec<_>) = done.into_iter().unzip();
    let (cookies, mut times) = (cookies.concat(), times.concat());
    let missing = missing(&data, &cookies)?;
    let rate = rate(cookies.len(), took);
    let syncs = before.midpoint(after);
    figures.tell(format!("uploads of 1 KiB, {clients} at once"), cookies.len().to_string());
    figures.tell("  files a second, durable", format!("{rate:.0}"));
    figures.tell("  the disk's own syncs a second, one after another", format!("{syncs:.0}"));
    figures.tell("  files for each of those", format!("{:.2}", rate / syncs));
    figures.tell("  p99 of one", milliseconds(p99(&mut times)));
    figures.check(
        "  acknowledged files that are not there or not whole",
        missing.to_string(),
        "none",
        missing == 0,
    );
    Ok(())
}

/// How often a second a file can be written to and synced.
fn syncs(directory: &Path) -> Result<f64, Failure> {
    let path = directory.join("probe");
    let mut file = File::create(&path)?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < PROBE {
        file.write_all(&[7; SIZE])?;
        file.sync_data()?;
        count += 1;
    }
    std::fs::remove_file(path)?;
    Ok(rate(count, start.elapsed()))
}

/// How many of these files a store does not have, or has otherwise than they were stored.
pub fn missing(data: &Path, cookies: &[Cookie]) -> Result<u64, Failure> {
    let verified = verify_directory(data, |_, _| {})?;
    let store = EmbeddedStore::in_directory(data)?;
    let mut missing = verified.damaged;
    for cookie in cookies {
        missing += u64::from(store.open(cookie)?.is_none());
    }
    Ok(missing)
}

#[allow(clippy::cast_precision_loss, reason = "it is shown without digits")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
