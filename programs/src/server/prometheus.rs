//! Serves metrics to Prometheus (`--metrics`, `GET /metrics`). They are defined in
//! `fss::server::Telemetry`.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::server::listen::listen;
use crate::server::service::{ACCEPT_RETRY, broken, spawn};
use crate::terminal::failure::Failure;

/// How long whoever asks may take in all. One is answered after the other.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often what was measured is summed up, whether anybody asks or not.
const UPKEEP: Duration = Duration::from_secs(5);
/// The longest request.
const LONGEST: usize = 4096;
/// Upper bounds of the times of operations, in seconds.
const SECONDS: [f64; 10] = [0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0, 300.0, 1800.0];

/// Counts from now on, and answers who asks.
pub fn expose(address: SocketAddr) -> Result<(), Failure> {
    let listener = listen(address, "--metrics")?;
    listener.set_nonblocking(false).map_err(broken)?;
    let unusable = |error: metrics_exporter_prometheus::BuildError| broken(io::Error::other(error));
    let builder = PrometheusBuilder::new().set_buckets(&SECONDS).map_err(unusable)?;
    let handle = builder.install_recorder().map_err(unusable)?;
    tracing::info!(address = %listener.local_addr().map_err(broken)?, "metrics at /metrics");
    let summing = handle.clone();
    spawn("metrics upkeep", move || {
        loop {
            thread::sleep(UPKEEP);
            summing.run_upkeep();
        }
    })?;
    spawn("metrics", move || answer_all(&listener, &handle))
}

fn answer_all(listener: &TcpListener, handle: &PrometheusHandle) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                // Who does not listen gets no answer.
                let _ = answer(stream, handle);
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection for metrics");
                thread::sleep(ACCEPT_RETRY);
            }
        }
    }
}

fn answer(mut stream: TcpStream, handle: &PrometheusHandle) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = [0; LONGEST];
    let mut length = 0;
    while length < LONGEST && !request[..length].windows(4).any(|end| end == b"\r\n\r\n") {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut request[length..])? {
            0 => return Ok(()),
            count => length += count,
        }
    }
    let (status, body) = match request.strip_prefix(b"GET /metrics") {
        Some([b' ' | b'?', ..]) => ("200 OK", handle.render()),
        _ => ("404 Not Found", "GET /metrics\n".to_owned()),
    };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
