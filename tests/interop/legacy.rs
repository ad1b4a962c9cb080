//! FSS 1.0: our server and our client against a peer as fragile as those of 2019 (`peer.py`).

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use fss::client::legacy::{FileRequest, LegacyEvent, LegacySession};
use fss::crypto::{Fingerprint, PrivateKey, default_provider};
use fss::key_file::{KeyEncoding, KeyRole};
use fss::profile::{FileRecord, Profile};
use fss::server::{ServerEvent, ServerState};
use fss::store::EmbeddedStore;
use fss::wire::key_exchange;
use fss::{
    Config, Cookie, Error, Limits, OpaqueCookie, Password, Refusal, Secret, ServerSession,
    SystemRng,
};
use fss_test_support::keys;
use fss_test_support::rng::SeededRng;
use rand_core::Rng as _;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use super::process::{self, PATIENCE, Process, directory as interop};
use fss::driver::Call;
use fss::driver::blocking::Driver;

const SIZES: [usize; 10] = [0, 1, 15, 16, 17, 1023, 1024, 1025, 3000, 100_000];
const SMALL_SIZES: [usize; 5] = [0, 1, 16, 1025, 3000];
const PASSWORD: &[u8] = b"correct horse battery staple";
/// The last is no UTF-8: to a server a password is bytes.
const PASSWORDS: [&[u8]; 4] = [PASSWORD, "pässwörd-日本語".as_bytes(), b"a", b"\xff\xfe\x80"];
/// How long our machines wait: less than the tests do.
const IDLE: Duration = Duration::from_secs(25);

// --- The peer
// ----------------------------------------------------------------------------------------------------------

/// A Python that can run the peer, and a place for its files.
struct Python {
    program: &'static OsStr,
    server_key: KeyFile,
    client_key: KeyFile,
    directory: TempDir,
}

/// A private key in a file, for the peer to use.
struct KeyFile {
    path: PathBuf,
    fingerprint: Fingerprint,
}

/// Where a server listens, and the key that it has to show.
#[derive(Clone, Copy)]
struct Address {
    port: u16,
}

impl Python {
    /// `None` where there is no usable Python: the test is skipped, and says so.
    fn find() -> Option<Self> {
        process::python().map(Self::new)
    }

    fn new(program: &'static OsStr) -> Self {
        let directory = tempdir().expect("a directory");
        let save = |name: &str, key: &dyn PrivateKey| {
            let path = directory.path().join(name);
            process::save_key(&path, name);
            KeyFile { path, fingerprint: key.public_key().fingerprint() }
        };
        let server_key = save("server", &*keys::server(&*default_provider()));
        let client_key = save("client", &*keys::client(&*default_provider()));
        Self { program, server_key, client_key, directory }
    }

    /// A new key, larger than the recorded ones.
    fn large_key(&self, size: KeySize) -> KeyFile {
        let key = PrivateDecryptingKey::generate(size).expect("a key");
        let der: Pkcs8V1Der<'_> = key.as_der().expect("it can be written");
        let path = self.directory.path().join(format!("{size:?}"));
        fs::write(&path, der.as_ref()).expect("written");
        let key = default_provider()
            .load_private_key(&Secret::new(der.as_ref().to_vec()))
            .expect("our provider takes it");
        KeyFile { path, fingerprint: key.public_key().fingerprint() }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.program);
        command.arg(interop().join("peer.py")).arg(name);
        command
    }

    /// The peer with a change that no option makes. `peer` is its module.
    fn changed(&self, name: &str, change: &str) -> Command {
        let mut command = Command::new(self.program);
        // Without -B the import would leave a directory among the sources.
        command
            .args(["-B", "-c", &format!("import sys, peer\n{change}\nsys.exit(peer.main())"), name])
            .env("PYTHONPATH", interop());
        command
    }

    fn uploading(
        &self,
        mut command: Command,
        to: Address,
        password: &[u8],
        file: &[u8],
    ) -> Process {
        let source = self.directory.path().join("source");
        fs::write(&source, file).expect("written");
        command
            .args(["--port", &to.port.to_string(), "--file"])
            .arg(source)
            .arg("--key")
            .arg(&self.client_key.path);
        Process::start(command, "FSS_PASSWORD", password)
    }

    fn downloading(&self, from: Address, cookie: &str, password: &[u8], size: usize) -> Process {
        let mut command = self.command("download");
        command.args([
            "--port",
            &from.port.to_string(),
            "--cookie",
            cookie,
            "--size",
            &size.to_string(),
        ]);
        command.arg("--output").arg(self.received()).arg("--key").arg(&self.client_key.path);
        Process::start(command, "FSS_PASSWORD", password)
    }

    fn received(&self) -> PathBuf {
        self.directory.path().join("received")
    }

    fn upload(&self, to: Address, password: &[u8], file: &[u8], flags: &[&str]) -> Cookie {
        let mut command = self.command("upload");
        command.args(flags);
        let printed = self.uploading(command, to, password, file).succeed();
        printed.parse().expect("it prints a cookie")
    }

    fn download(&self, from: Address, cookie: &str, password: &[u8], size: usize) -> Vec<u8> {
        self.downloading(from, cookie, password, size).succeed();
        fs::read(self.received()).expect("it has written the file")
    }

    /// Reads a file from a directory as a 2019 server would.
    fn stored(&self, directory: &Path, cookie: &str, password: &[u8], size: usize) -> Vec<u8> {
        let mut command = self.command("read-server-dir");
        command.arg("--data").arg(directory).args([
            "--cookie",
            cookie,
            "--size",
            &size.to_string(),
        ]);
        command.arg("--output").arg(self.received());
        Process::start(command, "FSS_PASSWORD", password).succeed();
        fs::read(self.received()).expect("it has written the file")
    }

    fn server(&self, directory: &Path, connections: usize) -> PythonServer {
        self.serving(self.command("server"), directory, connections)
    }

    fn serving(&self, mut command: Command, directory: &Path, connections: usize) -> PythonServer {
        command.arg("--data").arg(directory).args(["--connections", &connections.to_string()]);
        command.arg("--key").arg(&self.server_key.path);
        let mut process = Process::start(command, "FSS_PASSWORD", b"");
        let port = process
            .line()
            .and_then(|line| line.strip_prefix("listening ")?.parse().ok())
            .expect("it says its port");
        PythonServer { process, address: Address { port } }
    }
}

/// The peer as a server, for so many connections.
struct PythonServer {
    process: Process,
    address: Address,
}

impl PythonServer {
    /// What it reports of the next connection.
    fn report(&mut self) -> Value {
        let line = self.process.line().expect("a report for each connection");
        serde_json::from_str(&line).expect("it is JSON")
    }

    /// Uploads with our client, and checks what both sides say of it.
    fn take(&mut self, password: &[u8], file: &[u8]) -> OpaqueCookie {
        let cookie = upload(self.address, password, file);
        let size = file.len();
        assert_eq!(
            self.report(),
            json!({"operation": "upload", "cookie": cookie.as_str(), "bytes": size, "error": null})
        );
        cookie
    }

    /// Downloads with our client, and checks what both sides say of it. `stored` is the size in the
    /// directory.
    fn give(
        &mut self,
        cookie: &OpaqueCookie,
        password: &[u8],
        size: Option<usize>,
        stored: usize,
    ) -> Vec<u8> {
        let file = download(self.address, cookie, password, size);
        assert_eq!(
            self.report(),
            json!({"operation": "download", "cookie": cookie.as_str(), "bytes": stored, "error": null})
        );
        file
    }
}

/// The stored size of a file, and what it is with the block that 2019 servers append.
fn stored_sizes(size: usize) -> (usize, usize) {
    (size.next_multiple_of(16), size.next_multiple_of(16) + 16)
}

// --- Our side
// ----------------------------------------------------------------------------------------------------------

fn password(bytes: &[u8]) -> Password {
    Password::new(bytes).expect("valid")
}

fn config(key: Arc<dyn PrivateKey>) -> Config {
    let mut limits = Limits::default();
    limits.idle = IDLE;
    Config::new(default_provider(), key).with_limits(limits)
}

/// A file whose chunks all differ, and whose end cannot be mistaken for padding.
fn content(size: usize) -> Vec<u8> {
    let mut file = vec![0; size];
    SeededRng(size as u64).fill_bytes(&mut file);
    if let Some(last) = file.last_mut() {
        *last |= 0x80;
    }
    file
}

/// Our server on a directory, with a thread for each connection. Dropping it closes the directory.
struct OurServer {
    address: Address,
    served: Receiver<Served>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What our server reported of a connection, and how that ended.
type Served = (Vec<ServerEvent>, Result<(), Error>);

impl OurServer {
    fn start(directory: &Path) -> Self {
        let store = EmbeddedStore::in_directory(directory).expect("the store opens");
        // Each connection has a key of its own, which a peer of 2019 must be able to use.
        let state = ServerState::new(config(keys::server(&*default_provider())));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (sender, served) = channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let accept = move || {
            thread::scope(|scope| {
                for stream in listener
                    .incoming()
                    .map_while(Result::ok)
                    .take_while(|_| !stop.load(Ordering::Relaxed))
                {
                    let (sender, session) =
                        (sender.clone(), ServerSession::with_state(&store, &state));
                    // The test may have failed meanwhile, and listen no more.
                    scope.spawn(move || sender.send(serve(session, &stream)));
                }
            });
        };
        Self { address: Address { port }, served, stopping, thread: Some(thread::spawn(accept)) }
    }

    /// What came of the next connection to end.
    fn served(&self) -> Served {
        let (mut events, ended) = self.served.recv_timeout(PATIENCE).expect("the connection ends");
        events.retain(|event| !matches!(event, ServerEvent::Requested { .. }));
        (events, ended)
    }

    /// Waits for an upload to end, and checks that it was one.
    fn has_stored(&self, cookie: &str, client: &KeyFile, size: usize) {
        let cookie: Cookie = cookie.parse().expect("our server gives out cookies of ours");
        let bytes = stored_sizes(size).0 as u64;
        let (key, started) = (
            ServerEvent::ClientKey(client.fingerprint),
            ServerEvent::UploadStarted { cookie: cookie.clone() },
        );
        assert_eq!(
            self.served(),
            (vec![key, started, ServerEvent::Stored { cookie, bytes, received: bytes }], Ok(()))
        );
    }

    /// The same for a download. `stored` is the size in the directory.
    fn has_delivered(&self, cookie: &str, client: &KeyFile, stored: usize) {
        let (cookie, bytes): (Cookie, _) = (cookie.parse().expect("valid"), stored as u64);
        let key = ServerEvent::ClientKey(client.fingerprint);
        let started = ServerEvent::DownloadStarted { cookie: cookie.clone(), bytes };
        assert_eq!(
            self.served(),
            (vec![key, started, ServerEvent::Delivered { cookie, bytes, sent: bytes }], Ok(()))
        );
    }

    /// A file goes from a Python client to the server and comes back.
    fn keeps(&self, python: &Python, password: &[u8], size: usize, flags: &[&str]) {
        let file = content(size);
        let cookie = python.upload(self.address, password, &file, flags);
        self.has_stored(cookie.as_str(), &python.client_key, size);
        assert!(
            python.download(self.address, cookie.as_str(), password, size) == file,
            "{size} {flags:?}"
        );
        self.has_delivered(cookie.as_str(), &python.client_key, stored_sizes(size).0);
    }
}

impl Drop for OurServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // So that it looks.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.address.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(mut session: ServerSession<&EmbeddedStore>, stream: &TcpStream) -> Served {
    let mut events = Vec::new();
    let end = Driver::new(stream).run(&mut session, |_, call| {
        match call {
            Call::Event(event) => events.push(event),
            Call::Request(request) => match request {},
        }
        Ok(())
    });
    (events, end)
}

/// Lets our client do its work: what it reports, how it ends, and the file that it hands out.
fn client(
    mut session: LegacySession,
    to: Address,
    mut source: &[u8],
) -> (Vec<LegacyEvent>, Result<(), Error>, Vec<u8>) {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, to.port)).expect("the server listens");
    let (mut events, mut file) = (Vec::new(), Vec::new());
    let end = Driver::new(stream).run(&mut session, |session, call| {
        match call {
            Call::Event(event) => events.push(event),
            Call::Request(FileRequest::Supply) => {
                let count = source.read(session.supply()).expect("memory can be read");
                session.supplied(count);
            }
            Call::Request(FileRequest::Data) => {
                file.extend_from_slice(session.data());
                let count = session.data().len();
                session.consumed(count);
            }
        }
        Ok(())
    });
    (events, end, file)
}

fn our_client() -> Config {
    config(keys::client(&*default_provider()))
}

fn upload(to: Address, secret: &[u8], file: &[u8]) -> OpaqueCookie {
    let (events, end, _) = client(LegacySession::upload(our_client(), &password(secret)), to, file);
    assert_eq!(end, Ok(()));
    let Some(LegacyEvent::Uploaded { cookie, .. }) = events.last() else {
        panic!("no upload: {events:?}")
    };
    let (started, size) =
        (LegacyEvent::UploadStarted { cookie: cookie.clone() }, file.len() as u64);
    assert_eq!(events, [started, LegacyEvent::Uploaded { cookie: cookie.clone(), size }]);
    cookie.clone()
}

fn download(from: Address, cookie: &OpaqueCookie, secret: &[u8], size: Option<usize>) -> Vec<u8> {
    let session = LegacySession::download(
        our_client(),
        cookie,
        &password(secret),
        size.map(|size| size as u64),
    );
    let (events, end, file) = client(session, from, &[]);
    assert_eq!(end, Ok(()));
    let downloaded = LegacyEvent::Downloaded { size: file.len() as u64, guessed: size.is_none() };
    assert_eq!(events, [LegacyEvent::DownloadStarted, downloaded]);
    file
}

// --- Python clients and our server
// -------------------------------------------------------------------------------------

#[test]
fn python_clients_get_back_what_they_gave_our_server() {
    let Some(python) = Python::find() else { return };
    let directory = tempdir().expect("a directory");
    let server = OurServer::start(directory.path());
    for (size, password) in SIZES.into_iter().zip(PASSWORDS.into_iter().cycle()) {
        server.keeps(&python, password, size, &[]);
    }
}

#[test]
fn our_server_copes_with_clients_that_neither_wait_before_their_request_nor_after_the_end() {
    let Some(python) = Python::find() else { return };
    let directory = tempdir().expect("a directory");
    let server = OurServer::start(directory.path());
    for flags in [&["--coalesce"][..], &["--close-after-fin"], &["--coalesce", "--close-after-fin"]]
    {
        for size in [0, 1025] {
            server.keeps(&python, PASSWORD, size, flags);
        }
    }
}

/// Makes the peer's `upload` a series: each beginning of the file goes up and comes back. Its
/// cookie is printed after that.
///
/// Most of what one operation costs is the start of Python, so 50 of them share one.
const SERIES: &str = "
import contextlib, io, pathlib
once = peer.run_upload
def series(options):
    source, output = pathlib.Path(options.file), pathlib.Path(options.file + '.back')
    options.output, whole = output, source.read_bytes()
    for options.size in range(len(whole)):
        source.write_bytes(whole[:options.size])
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            once(options)
        options.cookie = printed.getvalue().strip()
        peer.run_download(options)
        assert output.read_bytes() == source.read_bytes()
        print(options.cookie, flush=True)
peer.run_upload = series
";

#[test]
fn python_clients_and_our_server_do_not_hang_in_50_repetitions() {
    let Some(python) = Python::find() else { return };
    let directory = tempdir().expect("a directory");
    let server = OurServer::start(directory.path());
    let mut client =
        python.uploading(python.changed("upload", SERIES), server.address, PASSWORD, &content(50));
    for size in 0..50 {
        let cookie = client
            .line()
            .unwrap_or_else(|| panic!("the peer stops at {size}: {}", client.complaints()));
        server.has_stored(&cookie, &python.client_key, size);
        server.has_delivered(&cookie, &python.client_key, stored_sizes(size).0);
    }
    client.succeed();
}

#[test]
fn our_server_refuses_python_clients_with_the_texts_of_2019() {
    let Some(python) = Python::find() else { return };
    let directory = tempdir().expect("a directory");
    let server = OurServer::start(directory.path());
    let cookie = python.upload(server.address, PASSWORD, b"file", &[]);
    server.has_stored(cookie.as_str(), &python.client_key, 4);
    let too_long = [b'x'; Password::MAX_LENGTH + 1];
    let refused = |complaint: String, text: &str, end: Error| {
        assert!(complaint.ends_with(text), "{complaint}");
        assert_eq!(
            server.served(),
            (vec![ServerEvent::ClientKey(python.client_key.fingerprint)], Err(end))
        );
    };
    for (cookie, password, text, refusal) in [
        (cookie.as_str(), &b"wrong"[..], "got b'E Invalid password'", Refusal::WrongPassword),
        (cookie.as_str(), &too_long, "got b'E Invalid password'", Refusal::WrongPassword),
        (
            "7",
            PASSWORD,
            "got b'E Failed to proceed with the selected operation'",
            Refusal::UnknownCookie,
        ),
        ("../7", PASSWORD, "got b'E Invalid cookie'", Refusal::InvalidCookie),
    ] {
        refused(
            python.downloading(server.address, cookie, password, 4).fail(),
            text,
            refusal.into(),
        );
    }
    let refusal =
        python.uploading(python.command("upload"), server.address, &too_long, b"file").fail();
    refused(
        refusal,
        "got b'E Failed to proceed with the selected operation'",
        Refusal::InvalidPassword.into(),
    );
    let ask = "ask = peer.request; peer.request = lambda options, frame, *more: ask(options, b'Q' + frame[1:], *more)";
    let refusal =
        python.uploading(python.changed("upload", ask), server.address, PASSWORD, b"file").fail();
    refused(refusal, "got 'E illegal user state' in clear", Refusal::UnknownRequest.into());
    // None of this has done the file any harm.
    assert_eq!(python.download(server.address, cookie.as_str(), PASSWORD, 4), b"file");
}

// --- Our client and Python servers
// -------------------------------------------------------------------------------------

#[test]
fn our_client_gets_back_what_it_gave_a_python_server() {
    let Some(python) = Python::find() else { return };
    let directory = tempdir().expect("a directory");
    let mut server = python.server(directory.path(), 3 * SIZES.len());
    for (size, password) in SIZES.into_iter().zip(PASSWORDS.into_iter().cycle()) {
        let file = content(size);
        let cookie = server.take(password, &file);
        // The block that the server appends is cut off, whether the size is known or guessed.
        for known in [Some(size), None] {
            assert!(server.give(&cookie, password, known, stored_sizes(size).1) == file, "{size}");
        }
    }
    server.process.succeed();
}

#[test]
fn our_client_and_a_python_server_do_not_hang_in_50_repetitions() {
    let Some(python) = Python::find() else { return };
    let directory = tempdir().expect("a directory");
    let mut server = python.server(directory.path(), 100);
    for size in 0..50 {
        let cookie = server.take(PASSWORD, &content(size));
        assert_eq!(server.give(&cookie, PASSWORD, Some(size), stored_sizes(size).1), content(size));
    }
    server.process.succeed();
}

#[test]
fn our_client_reports_the_refusals_of_a_python_server() {
    let Some(python) = Python::find() else { return };
    let directory = tempdir().expect("a directory");
    let refused = |session: LegacySession, server: &mut PythonServer, text: &str| {
        let (events, end, file) = client(session, server.address, b"file");
        assert!(
            matches!(&end, Err(Error::PeerRefused(told)) if told.text.as_str() == text),
            "{end:?}"
        );
        assert_eq!((events, file), (vec![], vec![]));
        let report = server.report();
        assert_eq!((&report["operation"], &report["error"]), (&json!("refused"), &json!(text)));
    };
    let upload = || LegacySession::upload(our_client(), &password(PASSWORD));
    let download = |cookie: &OpaqueCookie, secret: &[u8]| {
        LegacySession::download(our_client(), cookie, &password(secret), None)
    };
    let unknown = OpaqueCookie::parse(b"8").expect("valid");

    let mut command = python.command("server");
    command.args(["--cookie", "7"]);
    let mut server = python.serving(command, directory.path(), 4);
    let cookie = server.take(PASSWORD, b"file");
    refused(download(&cookie, b"wrong"), &mut server, "Invalid password");
    refused(
        download(&unknown, PASSWORD),
        &mut server,
        "Failed to proceed with the selected operation",
    );
    // Its second cookie is the first again.
    refused(upload(), &mut server, "Failed to proceed with the selected operation");
    server.process.succeed();

    // Our client asks for nothing that is not known, so the server has to mishear it.
    let mishear = "hear = peer.Link.receive; peer.Link.receive = lambda link, what: hear(link, what) and [b'Q']";
    let mut server = python.serving(python.changed("server", mishear), directory.path(), 2);
    refused(upload(), &mut server, "illegal user state");
    refused(download(&cookie, PASSWORD), &mut server, "illegal user state");
    server.process.succeed();
}

// --- Both
// --------------------------------------------------------------------------------------------------------------

#[test]
fn larger_keys_work_on_either_side() {
    let Some(mut python) = Python::find() else { return };
    let directories = [tempdir().expect("a directory"), tempdir().expect("a directory")];
    let server = OurServer::start(directories[0].path());
    for size in [KeySize::Rsa3072, KeySize::Rsa4096] {
        python.client_key = python.large_key(size);
        server.keeps(&python, PASSWORD, 3000, &[]);
        python.server_key = python.large_key(size);
        let mut server = python.server(directories[1].path(), 2);
        let cookie = server.take(PASSWORD, &content(3000));
        assert!(
            server.give(&cookie, PASSWORD, None, stored_sizes(3000).1) == content(3000),
            "{size:?}"
        );
        server.process.succeed();
    }
}

#[test]
fn python_reads_the_directory_that_our_server_wrote() {
    let Some(python) = Python::find() else { return };
    let directory = tempdir().expect("a directory");
    let server = OurServer::start(directory.path());
    let cookies = SMALL_SIZES.map(|size| upload(server.address, PASSWORDS[1], &content(size)));
    drop(server);
    for (size, cookie) in SMALL_SIZES.into_iter().zip(cookies) {
        assert_eq!(
            python.stored(directory.path(), cookie.as_str(), PASSWORDS[1], size),
            content(size)
        );
    }
}

#[test]
fn a_directory_goes_from_a_python_server_to_ours_and_back() {
    let Some(python) = Python::find() else { return };
    let directory = tempdir().expect("a directory");
    let mut theirs = python.server(directory.path(), SMALL_SIZES.len());
    let cookies = SMALL_SIZES.map(|size| theirs.take(PASSWORD, &content(size)));
    theirs.process.succeed();

    let ours = OurServer::start(directory.path());
    for (size, cookie) in SMALL_SIZES.into_iter().zip(&cookies) {
        // The appended block is served as it is.
        for known in [Some(size), None] {
            assert_eq!(download(ours.address, cookie, PASSWORD, known), content(size));
            ours.has_delivered(cookie.as_str(), &python.client_key, stored_sizes(size).1);
        }
        assert_eq!(python.download(ours.address, cookie.as_str(), PASSWORD, size), content(size));
        ours.has_delivered(cookie.as_str(), &python.client_key, stored_sizes(size).1);
    }
    let new = upload(ours.address, PASSWORD, &content(100));
    drop(ours);

    let mut theirs = python.server(directory.path(), SMALL_SIZES.len() + 2);
    for (size, cookie) in SMALL_SIZES.into_iter().zip(&cookies) {
        assert_eq!(theirs.give(cookie, PASSWORD, Some(size), stored_sizes(size).1), content(size));
    }
    assert_eq!(theirs.give(&new, PASSWORD, Some(100), stored_sizes(100).0), content(100));
    let newest = theirs.take(PASSWORD, &content(200));
    theirs.process.succeed();

    let ours = OurServer::start(directory.path());
    for (size, cookie) in [(100, &new), (200, &newest)] {
        assert_eq!(download(ours.address, cookie, PASSWORD, Some(size)), content(size));
    }
}

fn public_pem(key: &dyn PrivateKey) -> String {
    String::from_utf8(key_exchange::write(key.public_key().as_bytes())).expect("PEM is ASCII")
}

#[test]
fn python_opens_the_server_keys_that_we_lock_in_the_form_of_2019() {
    let Some(python) = Python::find() else { return };
    let directory = tempdir().expect("a directory");
    let locked = fss::key_file::KeyDirectory::new(directory.path(), KeyRole::Server);
    let key = keys::server(&*default_provider());
    let read = |code: &[u8]| {
        let mut command = python.command("read-server-key");
        command.arg("--data").arg(directory.path());
        Process::start(command, "FSS_CODE", code)
    };
    let (old, new) = (b"operation code 954", PASSWORDS[1]);
    locked.create(KeyEncoding::Legacy, &*key, &password(old), &mut SystemRng).expect("it locks");
    assert_eq!(read(old).succeed(), public_pem(&*key));
    locked.change_code(&password(old), &password(new), &mut SystemRng).expect("it changes");
    assert_eq!(read(new).succeed(), public_pem(&*key));
    assert!(read(old).fail().contains("expected SHA-384 of this secret in .shc"));
}

#[test]
fn python_reads_our_profile() {
    let Some(python) = Python::find() else { return };
    let directory = tempdir().expect("a directory");
    let profile = Profile::open(directory.path()).expect("it opens");
    let key = profile
        .create_key(KeyEncoding::Legacy, &password(PASSWORDS[1]), &*default_provider())
        .expect("it is made")
        .key;
    let files = [
        ("7", "notes.txt", 2760),
        ("092071145115023241154224062033185071071177098114", "日本語 \"x\".bin", 0),
    ];
    for (cookie, name, size) in files {
        let mut file =
            FileRecord::new(OpaqueCookie::parse(cookie.as_bytes()).expect("valid"), name, size);
        file.server = Some("somewhere:954".into());
        profile.files().insert(&file).expect("inserted");
    }
    let dates = profile.files().list().expect("readable").into_iter().map(|file| file.date);
    let files: Vec<Value> = files
        .into_iter()
        .zip(dates)
        .map(|((cookie, name, size), date)| json!({"cookie": cookie, "name": name, "size": size.to_string(), "date": date}))
        .collect();
    drop(profile);
    let mut command = python.command("read-profile");
    command.arg("--profile").arg(directory.path());
    let read = Process::start(command, "FSS_PASSWORD", PASSWORDS[1]).succeed();
    let read: Value = serde_json::from_str(&read).expect("it is JSON");
    assert_eq!(read, json!({"public_pem": public_pem(&*key), "files": files}));
}
