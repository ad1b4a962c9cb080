//! A small file system is filled up.

use std::path::Path;

use fss::protocol::ErrorCode;

use crate::load::Failure;
use crate::load::client::{Client, Trouble};
use crate::load::figures::Figures;
use crate::load::options::Options;
use crate::load::process::Server;

const FILE: usize = 1024 * 1024;
/// More than a small file system has room for.
const MOST: usize = 1024;

pub async fn load(
    options: &Options,
    directory: &Path,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let data = directory.join("fss-load");
    let server = Server::start(options, &data, &[])?;
    let client = Client::new()?;
    let content = vec![7; FILE];
    let mut cookies = Vec::new();
    let refused = loop {
        // A refusal may end the connection.
        match client.connect(&server.address).await?.upload(&content).await {
            Ok(cookie) => cookies.push(cookie),
            Err(refused) => break refused,
        }
        if cookies.len() >= MOST {
            return Err(format!("{} is not small: {MOST} MiB fit", directory.display()).into());
        }
    };
    let said_so = refused.code() == Some(ErrorCode::NoRoom);
    let mut connection = client.connect(&server.address).await?;
    let mut sizes = 0;
    for cookie in &cookies {
        sizes += connection.download(cookie).await?;
    }
    let all_there = sizes == (cookies.len() * FILE) as u64;
    let again = connection.upload(&content).await;
    let still_full =
        matches!(&again, Err(Trouble::Refused(refused)) if refused.code == Some(ErrorCode::NoRoom));

    let mut connection = client.connect(&server.address).await?;
    for cookie in &cookies[..cookies.len().div_ceil(2)] {
        connection.delete(cookie).await?;
    }
    let recovered = connection.upload(&content).await.is_ok();
    drop(connection);
    drop(server);
    // It opens again, too.
    let server = Server::start(options, &data, &[])?;
    let reopened = client.connect(&server.address).await?.upload(&content).await.is_ok();
    drop(server);
    std::fs::remove_dir_all(&data)?;

    figures.tell("files of 1 MiB until the disk was full", cookies.len().to_string());
    figures.check("  what the server said then", refused.to_string(), "no room", said_so);
    figures.check("  all of them downloaded from the full disk", yes(all_there), "yes", all_there);
    figures.check("  uploads are still refused", yes(still_full), "yes", still_full);
    figures.check("  uploads succeed again when half is deleted", yes(recovered), "yes", recovered);
    figures.check("  and after a restart", yes(reopened), "yes", reopened);
    Ok(())
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}
