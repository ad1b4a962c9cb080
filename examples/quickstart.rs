//! One file goes to a server and comes back, on this machine, in a few seconds: `cargo run --release --example quickstart`.
//!
//! Server and client run in one process, over a real socket, with a real store in a temporary directory.

use std::error::Error;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use fss::client::{ClientEvent, ClientNeed, ClientSession, Download, Operation, Upload};
use fss::crypto::{Fingerprint, default_provider};
use fss::driver::Call;
use fss::driver::blocking::Driver;
use fss::sealed::{Cost, Header, Key, Master, Metadata};
use fss::store::EmbeddedStore;
use fss::{Config, Cookie, Password, ServerSession, SystemRng};

const FILE: &[u8] = include_bytes!("../README.md");

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = EmbeddedStore::in_directory(directory.path())?;
    let server = Config::generate()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let key = server.identity().public_key().fingerprint();
    let mut out = std::io::stdout();
    writeln!(out, "A server listens on {address}, with the key {key}.")?;
    let serving = store.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut session = ServerSession::with_config(&serving, server.clone());
            if let Err(error) = Driver::new(stream).run(&mut session, |_, _| Ok::<_, fss::Error>(())) {
                eprintln!("server: {error}");
            }
        }
    });

    let client = Client { config: Config::generate()?, address, server: key };
    let header = Header::new(Cost::USUAL, &mut SystemRng);
    let password = Password::new("correct horse battery staple")?;
    let started = Instant::now();
    let master = Master::derive(&password, &header)?;
    writeln!(out, "The password became a key in {:.1?}; the server sees neither.", started.elapsed())?;

    let started = Instant::now();
    let cookie = client.upload(&header, master.key(&header, &*default_provider()))?;
    writeln!(out, "Uploaded {} bytes in {:.1?}. The cookie is {cookie}.", FILE.len(), started.elapsed())?;
    writeln!(out, "The store has {} file, sealed, in {}.", store.count()?, directory.path().display())?;

    let started = Instant::now();
    let file = client.download(&cookie, header.clone(), master.key(&header, &*default_provider()))?;
    writeln!(out, "Downloaded {} bytes in {:.1?}.", file.len(), started.elapsed())?;
    if file != FILE {
        return Err("the file that came back is another".into());
    }
    writeln!(out, "It is the same file.")?;
    Ok(())
}

/// A client of one server, whose key it knows.
struct Client {
    config: Config,
    address: SocketAddr,
    server: Fingerprint,
}

impl Client {
    fn upload(&self, header: &Header, key: Key) -> Result<Cookie, Box<dyn Error>> {
        let metadata = Metadata::named("README.md");
        let size = Some(FILE.len() as u64);
        let upload = Upload { header: header.clone(), key, metadata, size, keep: None, downloads: None };
        let (mut rest, mut uploaded) = (FILE, None);
        self.operate(Operation::Upload(upload), |session, call| match call {
            Call::Need(ClientNeed::Supply) => {
                let count = session.supply().len().min(rest.len());
                session.supply()[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                session.supplied(count);
            }
            Call::Event(ClientEvent::Uploaded { cookie, .. }) => uploaded = Some(cookie),
            _ => {}
        })?;
        uploaded.ok_or_else(|| "the upload was not acknowledged".into())
    }

    fn download(&self, cookie: &Cookie, header: Header, key: Key) -> Result<Vec<u8>, Box<dyn Error>> {
        let download = Download { cookie: cookie.clone(), header, key, earlier: None, chain: None };
        let mut file = Vec::new();
        self.operate(Operation::Download(download), |session, call| {
            if let Call::Need(ClientNeed::Data) = call {
                file.extend_from_slice(session.data());
                let count = session.data().len();
                session.consumed(count);
            }
        })?;
        Ok(file)
    }

    fn operate(
        &self,
        operation: Operation,
        mut serve: impl FnMut(&mut ClientSession, Call<ClientSession>),
    ) -> Result<(), Box<dyn Error>> {
        let mut session = ClientSession::new(self.config.clone()).expecting(self.server);
        session.start(operation);
        session.finish();
        Driver::new(TcpStream::connect(self.address)?).run(&mut session, |session, call| {
            serve(session, call);
            Ok::<_, fss::Error>(())
        })?;
        Ok(())
    }
}
