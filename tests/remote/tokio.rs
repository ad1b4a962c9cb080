//! The asynchronous client does what the blocking one does.

use std::io::Cursor;
use std::time::Duration;

use fss::remote::{AsyncClient, Error, Get, Put, Retry};
use fss::store::UserName;
use fss::wire::error_frame::ErrorCode;
use fss::{Config, Password};

use crate::{BreakingLine, Server, code, noise, password};

const MIB: usize = 1 << 20;

fn client(server: &Server, address: &str) -> AsyncClient {
    let config = Config::generate().expect("there are random numbers");
    let retry = Retry::default().pauses(Duration::from_millis(1), Duration::from_millis(5));
    AsyncClient::new(config, address, server.trust()).with_retry(retry)
}

/// Its futures may go to any thread.
async fn on_another_task<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(future).await.expect("it does not panic")
}

#[tokio::test]
async fn files_of_any_size_come_back() {
    let server = Server::start();
    let client = client(&server, &server.address);
    for size in [0, 1, 70_001, 3_000_000] {
        let content = noise(size);
        for put in [Put::named("file"), Put::named("file").size(size as u64).compressed()] {
            let stored = client.put(&*content, &password(), &put).await.expect("it is stored");
            for get in [Get::from(&stored), Get::from(&stored.cookie)] {
                let (client, content) = (client.clone(), content.clone());
                on_another_task(async move {
                    let mut file = Vec::new();
                    client.get(get, &password(), &mut file).await.expect("it comes back");
                    assert!(file == content);
                })
                .await;
            }
        }
    }
    let files = client.list().await.expect("they are listed");
    assert_eq!(files.len(), 8);
    client.delete(&files[0].cookie).await.expect("it is deleted");
    assert_eq!(client.list().await.expect("they are listed").len(), 7);
    let name = UserName::parse(b"anna").expect("a name");
    client.sign_up(&name, None).await.expect("it is open");
    let (_, account) = client.information().await.expect("it answers");
    assert_eq!(account.map(|account| account.name), Some(name));
}

#[tokio::test]
async fn what_breaks_is_resumed() {
    let server = Server::start();
    let content = noise(40 * MIB);
    let size = content.len() as u64;
    for put in [Put::named("file").size(size), Put::named("file").size(size).compressed()] {
        let line = BreakingLine::to(&server, &[(20 * MIB, usize::MAX), (20 * MIB, usize::MAX)]);
        let stored = client(&server, &line.address)
            .put_seekable(Cursor::new(&content), &password(), &put)
            .await
            .expect("it is stored");
        assert!(line.connections() >= 3);
        let line = BreakingLine::to(&server, &[(usize::MAX, 5 * MIB), (usize::MAX, 20 * MIB)]);
        let mut file = Vec::new();
        client(&server, &line.address)
            .get(&stored, &password(), &mut file)
            .await
            .expect("it comes back");
        assert!(file == content);
        assert_eq!(line.connections(), 3);
    }
}

#[tokio::test]
async fn refusals_are_errors() {
    let server = Server::start();
    let client = client(&server, &server.address);
    let stored =
        client.put(&b"x"[..], &password(), &Put::named("file")).await.expect("it is stored");
    let wrong = Password::new("wrong").expect("it can be one");
    let refused = client.get(&stored, &wrong, Vec::new()).await.expect_err("it is wrong");
    assert_eq!(code(&refused), Some(ErrorCode::Refused));
    let other = self::client(&server, &server.address);
    let refused = other.delete(&stored.cookie).await.expect_err("it is another's");
    assert_eq!(code(&refused), Some(ErrorCode::Refused));
    other.delete_with_password(&stored, &password()).await.expect("the password is enough");
    let impostor = Server::start();
    let refused = self::client(&server, &impostor.address).list().await;
    let refused = refused.expect_err("it has another key");
    assert!(matches!(refused, Error::Session(fss::Error::ServerKeyChanged { .. })));
}

#[tokio::test]
async fn paths_come_back() {
    let (server, directory) = (Server::start(), tempfile::tempdir().expect("a directory"));
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir(path("tree")).expect("made");
    std::fs::write(path("tree/file"), noise(100_000)).expect("written");
    let client = client(&server, &server.address);
    let stored =
        client.put_path(path("tree"), &password(), &Put::default()).await.expect("it is stored");
    client.get_path(&stored, &password(), path("back")).await.expect("it comes back");
    assert!(std::fs::read(path("back/file")).expect("it is there") == noise(100_000));
}
