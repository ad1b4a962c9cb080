//! Many transfers at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::load::Failure;
use crate::load::client::{Client, Trouble};
use crate::load::figures::Figures;
use crate::load::options::Options;
use crate::load::process::{Server, directory};

pub async fn load(
    options: &Options,
    transfers: usize,
    mib: usize,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let place = directory(options)?;
    let server = Server::start(options, &place.path().join("data"), &[])?;
    let clients: Vec<Client> = Client::for_uploads(transfers)?.collect();
    let content = Arc::new(vec![7; mib * 1024 * 1024]);
    let first = clients.first().ok_or("no transfers")?;
    let cookie = first.connect(&server.address).await?.upload(&content).await?;

    for direction in ["up", "down"] {
        // All begin when all have said hello.
        let barrier = Arc::new(Barrier::new(transfers));
        let mut running = JoinSet::new();
        for client in &clients {
            let (client, address, barrier) =
                (client.clone(), server.address.clone(), Arc::clone(&barrier));
            let (content, cookie) = (Arc::clone(&content), cookie.clone());
            running.spawn(async move {
                let mut connection = client.connect(&address).await?;
                barrier.wait().await;
                let start = Instant::now();
                if direction == "up" {
                    connection.upload(&content).await?;
                } else {
                    let size = connection.download(&cookie).await?;
                    if size != content.len() as u64 {
                        return Err(Trouble::Failed("the file that came back is another".into()));
                    }
                }
                Ok(start.elapsed())
            });
        }
        let times: Vec<Duration> =
            running.join_all().await.into_iter().collect::<Result<_, Trouble>>()?;
        tell(direction, &times, content.len(), figures);
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "rates are shown with one digit")]
fn tell(direction: &str, times: &[Duration], bytes: usize, figures: &mut Figures) {
    let rate = |time: &Duration| bytes as f64 / 1024.0 / 1024.0 / time.as_secs_f64();
    let mean = times.iter().map(rate).sum::<f64>() / times.len() as f64;
    let slowest = times.iter().map(rate).fold(f64::INFINITY, f64::min);
    let all = times.iter().max().copied().unwrap_or_default();
    figures.tell(format!("transfers {direction}, all at once"), times.len().to_string());
    figures.tell("  together", format!("{:.0} MiB/s", rate(&all) * times.len() as f64));
    figures.tell("  mean rate", format!("{mean:.2} MiB/s"));
    let part = slowest / mean;
    figures.check("  slowest, of the mean", format!("{part:.2}"), "at least 0.25", part >= 0.25);
}
