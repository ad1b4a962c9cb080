//! What is written and counted about connections, and how much of it others can cause.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fss::crypto::Fingerprint;
use fss::server::{LogLimit, RequestKind, ServerEvent, Telemetry};
use fss::store::{StoreError, StoreErrorKind, UserName};
use fss::{Cookie, Error, Phase, Refusal, Time};
use fss_test_support::clock::Clock;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracing_subscriber::fmt::MakeWriter;

/// A log that is read afterwards.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What is written while something happens.
fn written(happens: impl FnOnce()) -> String {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .without_time()
        .with_target(false);
    tracing::subscriber::with_default(subscriber.finish(), happens);
    let bytes = log.0.lock().expect("not poisoned").clone();
    String::from_utf8(bytes).expect("text")
}

fn peer() -> SocketAddr {
    "192.0.2.1:40000".parse().expect("an address")
}

fn cookie() -> Cookie {
    "123456789012345678901234567890".parse().expect("a cookie")
}

fn at(milliseconds: u64) -> Time {
    Time::ZERO + Duration::from_millis(milliseconds)
}

fn requested(request: RequestKind) -> ServerEvent {
    ServerEvent::Requested { request, cookie: Some(cookie()) }
}

fn refused() -> ServerEvent {
    ServerEvent::Refused { why: Refusal::WrongPassword.into() }
}

fn limit() -> Arc<LogLimit> {
    Arc::new(LogLimit::new(Clock::default()))
}

#[test]
fn a_line_names_operation_cookie_and_user() {
    let key = Fingerprint::from_bytes([7; 32]);
    let log = written(|| {
        let mut telemetry = Telemetry::new(peer(), limit());
        telemetry.event(&ServerEvent::ClientKey(key), at(0));
        telemetry.event(&requested(RequestKind::Delete), at(1));
        telemetry.event(&refused(), at(1));
        telemetry.user(&UserName::parse(b"anna").expect("a name"));
        telemetry.event(&requested(RequestKind::Download), at(2));
        telemetry.event(&ServerEvent::DownloadStarted { cookie: cookie(), bytes: 1000 }, at(2));
        telemetry.event(&ServerEvent::Delivered { cookie: cookie(), bytes: 1000, sent: 10 }, at(5));
        telemetry.ended(&Ok(()), at(6));
    });
    let lines: Vec<_> = log.lines().collect();
    let [refused, delivered] = lines[..] else { panic!("{log}") };
    for part in [
        "peer=192.0.2.1:40000",
        "key=SHA256:BwcHBwcH",
        "delete{cookie=\"123456…\"}",
        "refused",
        "wrong password",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    for part in [
        "user=\"anna\"",
        "download{cookie=\"123456…\"}",
        "delivered",
        "bytes=1000",
        "sent=10",
        "milliseconds=3",
    ] {
        assert!(delivered.contains(part), "{part}: {delivered}");
    }
    assert!(!log.contains(cookie().as_str()) && !log.contains(&key.to_string()), "{log}");
}

#[test]
fn who_goes_in_the_middle_is_no_warning() {
    for (why, tells) in [
        (Error::Disconnected(Phase::Transfer), "in the middle"),
        (Error::TimedOut(Phase::Transfer), "silent"),
    ] {
        let log = written(|| {
            let mut telemetry = Telemetry::new(peer(), limit());
            telemetry.event(&requested(RequestKind::Upload), at(0));
            telemetry.event(&ServerEvent::UploadStarted { cookie: cookie() }, at(1));
            telemetry.ended(&Err(why.clone()), at(2));
        });
        assert!(log.contains("INFO") && !log.contains("WARN") && log.contains(tells), "{log}");
        assert!(log.contains("upload{cookie=\"123456…\"}"), "{log}");
    }
    let log = written(|| {
        let broken = StoreError::new(StoreErrorKind::Unavailable, "the disk is gone");
        Telemetry::new(peer(), limit()).ended(&Err(broken.into()), at(2));
    });
    assert!(log.contains("WARN") && log.contains("the disk is gone"), "{log}");
}

#[test]
fn refusals_of_one_connection_are_counted_after_a_few() {
    let log = written(|| {
        let mut telemetry = Telemetry::new(peer(), limit());
        for _ in 0..60_000 {
            telemetry.event(&requested(RequestKind::Download), at(1));
            telemetry.event(&refused(), at(1));
        }
        telemetry.event(&requested(RequestKind::SignUp), at(1));
        let name = UserName::parse(b"anna").expect("a name");
        telemetry.event(&ServerEvent::SignedUp { name }, at(1));
        telemetry.ended(&Ok(()), at(1));
    });
    assert_eq!(log.lines().count(), 9, "{log}");
    assert!(log.lines().last().is_some_and(|line| line.contains("refusals=59993")), "{log}");
}

#[test]
fn files_of_one_connection_are_counted_when_nobody_could_read_of_them() {
    let log = written(|| {
        let mut telemetry = Telemetry::new(peer(), limit());
        for _ in 0..10_000 {
            telemetry.event(&requested(RequestKind::Download), at(1));
            telemetry.event(&ServerEvent::Delivered { cookie: cookie(), bytes: 0, sent: 0 }, at(1));
        }
        telemetry.ended(&Ok(()), at(1));
    });
    assert_eq!(log.lines().count(), 1025, "{} lines", log.lines().count());
    assert!(log.ends_with("files=8976\n"), "{log}");
}

#[test]
fn a_flood_of_connections_is_counted_and_the_count_is_told() {
    let (clock, limit) = {
        let clock = Clock::default();
        (clock.clone(), Arc::new(LogLimit::new(clock)))
    };
    let connect =
        |why: &Error| Telemetry::new(peer(), Arc::clone(&limit)).ended(&Err(why.clone()), at(1));
    let gone = Error::Disconnected(Phase::KeyExchange);
    let log = written(|| (0..10_000).for_each(|_| connect(&gone)));
    assert_eq!(log.lines().count(), 64);
    let full = Error::from(StoreError::new(StoreErrorKind::Full, "no space"));
    let log = written(|| connect(&full));
    assert!(log.contains("no space"), "a flood hides no failure of the server itself: {log}");
    assert!(log.contains("peers=9936"), "{log}");
    assert!(written(|| limit.tell_omitted()).is_empty());
    let log = written(|| (0..10_000).for_each(|_| connect(&full)));
    assert!(log.lines().count() <= 16, "anybody can ask for more than there is room for: {log}");
    let broken = Error::from(StoreError::new(StoreErrorKind::Damaged, "a file is missing"));
    let log = written(|| connect(&broken));
    assert!(log.contains("a file is missing"), "and that hides no other failure: {log}");
    let log = written(|| (0..10_000).for_each(|_| connect(&broken)));
    assert!(log.lines().count() <= 64, "files are damaged, and asked for");
    clock.advance(3600);
    let log = written(|| connect(&gone));
    assert!(
        log.lines().count() == 2 && log.contains("left out") && log.contains("failures="),
        "{log}"
    );
}

/// All that was ever counted: names with their labels.
#[derive(Default)]
struct Names(Mutex<BTreeSet<String>>);

impl Names {
    fn note(&self, key: &Key) {
        self.0.lock().expect("not poisoned").insert(format!("{key}"));
    }
}

impl Recorder for Names {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key);
        Histogram::noop()
    }
}

#[test]
fn nothing_that_a_peer_says_is_a_label() {
    let names = Names::default();
    let run = |number: u8| {
        let mut telemetry = Telemetry::new(SocketAddr::from(([192, 0, 2, number], 1)), limit());
        let cookie = Cookie::from_index(number.into());
        telemetry.event(&ServerEvent::ClientKey(Fingerprint::from_bytes([number; 32])), at(0));
        for request in [
            RequestKind::Upload,
            RequestKind::Resume,
            RequestKind::Download,
            RequestKind::Delete,
            RequestKind::SignUp,
        ] {
            telemetry
                .event(&ServerEvent::Requested { request, cookie: Some(cookie.clone()) }, at(1));
            telemetry.event(&refused(), at(1));
        }
        let name = UserName::parse(format!("user{number}").as_bytes()).expect("a name");
        telemetry.event(&ServerEvent::SignedUp { name }, at(2));
        telemetry.event(
            &ServerEvent::Stored { cookie: cookie.clone(), bytes: number.into(), received: 1 },
            at(2),
        );
        telemetry.event(
            &ServerEvent::Delivered { cookie: cookie.clone(), bytes: number.into(), sent: 1 },
            at(2),
        );
        telemetry.event(&ServerEvent::Deleted { cookie }, at(2));
        telemetry.ended(&Err(Error::Disconnected(Phase::Rest)), at(3));
    };
    metrics::with_local_recorder(&names, || {
        run(1);
        let before = names.0.lock().expect("not poisoned").clone();
        (2..200).for_each(run);
        assert_eq!(*names.0.lock().expect("not poisoned"), before);
    });
}
