//! The driver for tokio. Its clients are on threads, so that they depend on nothing of it.

use fss::client::ClientSession;
use fss::driver::ServeError;
use fss::driver::tokio::{Driver as AsyncDriver, serve, serve_listener};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use super::*;

type Serving = tokio::task::JoinHandle<()>;

async fn start(server: Server<MemoryStore, Notes>) -> (SocketAddr, Serving) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    (address, tokio::spawn(serve_listener(listener, Arc::new(server))))
}

async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.expect("it does not panic")
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).expect("it listens")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_is_told_who_does_what() {
    let (server, notes) = server(Duration::from_secs(20));
    let shutdown = server.shutdown().clone();
    let (address, serving) = start(server).await;
    assert_eq!(on_thread(move || asks(connect(address))).await, Ok(()));
    let waiting = notes.clone();
    on_thread(move || waiting.wait_for("ended Ok(())")).await;
    assert!(notes.all()[0].ends_with(" connected") && notes.has("request: Information"));
    shutdown.start();
    serving.await.expect("it does not panic");
    assert_eq!(notes.all().last().map(String::as_str), Some("Stopping { connections: 0 }"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_runs_may_finish_and_one_that_does_not_is_closed() {
    let (server, notes) = server(PATIENCE);
    let server = server.with_drain(Duration::from_millis(500));
    let shutdown = server.shutdown().clone();
    let (address, serving) = start(server).await;
    on_thread(move || {
        let silent = connect(address);
        notes.wait_for("connected");
        let start = Instant::now();
        shutdown.start();
        notes.wait_for("Stopping { connections: 1 }");
        assert!(TcpStream::connect(address).is_err(), "no more are accepted");
        assert!(is_closed(&silent).starts_with(b"-----BEGIN PUBLIC KEY-----"));
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(20), "{took:?}");
    })
    .await;
    serving.await.expect("it does not panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_server_closes_its_connections() {
    let (server, notes) = server(PATIENCE);
    let (address, serving) = start(server).await;
    on_thread(move || {
        let silent = connect(address);
        notes.wait_for("connected");
        serving.abort();
        is_closed(&silent);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_behind_a_trusted_proxy_is_who_its_header_says() {
    let (server, notes) = proxied();
    let shutdown = server.shutdown().clone();
    let (address, serving) = start(server).await;
    on_thread(move || {
        assert_eq!(asks(behind_header(address, HEADER)), Ok(()));
        notes.wait_for("192.0.2.7:40000 ended Ok(())");
        assert_eq!(is_closed(&behind_header(address, b"GET / HTTP/1.1\r\n\r\n")), b"");
        notes.wait_for("NoProxyHeader");
        let panics = b"PROXY TCP4 192.0.2.7 198.51.100.1 666 954\r\n";
        assert_eq!(is_closed(&behind_header(address, panics)), b"");
        notes.wait_for("Panicked");
        assert_eq!(asks(behind_header(address, HEADER)), Ok(()), "it goes on");
    })
    .await;
    shutdown.start();
    serving.await.expect("it does not panic");
}

#[tokio::test]
async fn any_stream_is_served_and_its_deadlines_hold() {
    let (server, _) = server(Duration::from_millis(300));
    let (client, stream) = tokio::io::duplex(100);
    let asking = async {
        let mut session = ClientSession::new(Config::ephemeral());
        session.start(Operation::Information);
        session.finish();
        let mut driver = AsyncDriver::new(client);
        let mut events = Vec::new();
        while let Some(Call::Event(event)) = driver.next(&mut session).await? {
            events.push(event);
        }
        Ok::<_, Error>(events)
    };
    let (outcome, events) = tokio::join!(serve(stream, LOCAL, &server), asking);
    assert_eq!(outcome, Ok(()));
    let events = events.expect("it is answered");
    assert!(events.iter().any(|event| matches!(event, ClientEvent::Account { .. })));
    let (silent, stream) = tokio::io::duplex(100_000);
    let ended = serve(stream, LOCAL, &server).await;
    assert!(matches!(ended, Err(ServeError::Session(Error::TimedOut(_)))), "{ended:?}");
    drop(silent);
}
