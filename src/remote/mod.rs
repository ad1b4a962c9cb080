//! Files on a server, in a few lines: a client that connects, checks the server's key, seals and
//! uploads, downloads and opens.
//!
//! It is the machine [`ClientSession`] on a blocking socket, with what keeps its user safe: it
//! speaks to no server whose key is not the one that is pinned or remembered, releases no byte that
//! was changed, asks for no more memory and disk than a file says that it takes, and returns every
//! refusal as an error.
//!
//! ```
//! use fss::remote::{Client, Put, Trust};
//! # use fss::{Config, MemoryStore, Password, ServerSession, driver::blocking::Driver};
//! # let (store, server) = (MemoryStore::new(), Config::generate()?);
//! # let key = server.identity().public_key().fingerprint();
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?.to_string();
//! # std::thread::spawn(move || for stream in listener.incoming().flatten() {
//! #     let mut session = ServerSession::with_config(&store, server.clone());
//! #     let _ = Driver::new(stream).run(&mut session, |_, _| Ok::<_, fss::Error>(()));
//! # });
//! let client = Client::new(Config::generate()?, address, Trust::Pinned(key));
//! let password = Password::new("correct horse battery staple")?;
//! let stored = client.put(&b"a file"[..], &password, &Put::named("notes.txt"))?;
//!
//! let mut file = Vec::new();
//! client.get(&stored, &password, &mut file)?;
//! assert_eq!(file, b"a file");
//! # assert_eq!(client.list()?.len(), 1);
//! # client.delete(&stored.cookie)?;
//! # assert!(client.list()?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod get;
mod masters;
#[cfg(feature = "filesystem")]
mod path;
mod put;
mod trust;

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

pub use error::Error;
pub use get::{Fetched, Get};
pub use put::{Put, Stored};
pub use trust::{MemoryServerKeys, ServerKeys, Trust};

use crate::client::{ClientEvent, ClientRequest, ClientSession, Operation};
use crate::config::Config;
use crate::driver::Call;
use crate::driver::blocking::{Driver, connect};
use crate::store::{Account, Entry, Invite, UserName};
use crate::types::cookie::Cookie;
use crate::types::secret::Password;
use crate::wire::reply::ServerLimits;
use masters::Masters;

/// How long to wait for a server to take a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// The most files of a list that are taken: a server could go on for ever.
const MOST_LISTED: usize = 1_000_000;

/// A client of one server, with an identity of its own (that of its [`Config`]).
///
/// Each call makes a connection. Calls may be made from several threads.
pub struct Client {
    config: Config,
    server: String,
    trust: Trust,
    masters: Masters,
}

impl Client {
    /// A client of the server at `HOST:PORT`. Nothing is sent yet.
    ///
    /// The key of `config` owns what is uploaded: keep it, to list and delete files without their
    /// passwords later.
    pub fn new(config: Config, server: impl Into<String>, trust: Trust) -> Self {
        Self { config, server: server.into(), trust, masters: Masters::default() }
    }

    /// Uploads what `source` gives, sealed with a key that is made of the password. When this
    /// returns the file is durable at the server.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Source`] if `source` fails. Then there is no such file.
    pub fn put(&self, source: impl Read, password: &Password, put: &Put) -> Result<Stored, Error> {
        let mut source = put.encoded(source)?;
        let header = self.masters.new_header(password);
        let key = self.masters.key(password, &header, &**self.config.provider())?;
        let mut upload = put::Uploading::new(header.clone());
        self.operate(Operation::Upload(put.upload(header, key)), |session, call| match call {
            Call::Request(ClientRequest::Supply) => {
                let count = read_some(&mut source, session.supply()).map_err(Error::Source)?;
                session.supplied(count);
                Ok(())
            }
            Call::Event(event) => {
                upload.heed(event);
                Ok(())
            }
            Call::Request(_) => Ok(()),
        })?;
        upload.finish()
    }

    /// Downloads a file into `sink`, which is flushed before the server is told that the file has
    /// arrived.
    ///
    /// Every byte that is written was authenticated, but **only `Ok` means that the file is
    /// whole**: after an error `sink` has a beginning of it, to be thrown away. A directory arrives
    /// as a tar stream.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Sink`] if `sink` fails.
    pub fn get(
        &self,
        file: impl Into<Get>,
        password: &Password,
        sink: impl Write,
    ) -> Result<Fetched, Error> {
        let mut download = get::Downloading::new(file.into(), sink);
        let first = match download.known_header() {
            Some(header) => download
                .operation(self.masters.key(password, &header, &**self.config.provider())?, header),
            None => download.challenge(),
        };
        self.operate(first, |session, call| match call {
            Call::Request(ClientRequest::Data) => {
                download.write(session.data())?;
                let count = session.data().len();
                session.consumed(count);
                Ok(())
            }
            Call::Event(ClientEvent::Challenged(format)) => {
                let header = get::sealed(format)?;
                let key = self.masters.key(password, &header, &**self.config.provider())?;
                session.start(download.operation(key, header));
                Ok(())
            }
            Call::Event(event) => download.heed(event),
            Call::Request(_) => Ok(()),
        })?;
        download.finish()
    }

    /// The files that were uploaded with this client's key, oldest first.
    ///
    /// # Errors
    /// [`Error`]; [`Error::EndlessList`] if they are more than 1,000,000.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        let mut files: Vec<Entry> = Vec::new();
        self.operate(Operation::List { after: None }, |session, call| match call {
            Call::Event(ClientEvent::Listed(_)) if files.len() >= MOST_LISTED => {
                Err(Error::EndlessList)
            }
            Call::Event(ClientEvent::Listed(entry)) => {
                files.push(entry);
                Ok(())
            }
            Call::Event(ClientEvent::EndOfList { more: true }) => {
                session.start(Operation::List {
                    after: files.last().map(|entry| entry.cookie.clone()),
                });
                Ok(())
            }
            _ => Ok(()),
        })?;
        Ok(files)
    }

    /// Deletes a file that was uploaded with this client's key. To delete it once more is no error
    /// for a day.
    ///
    /// # Errors
    /// [`Error`]
    pub fn delete(&self, cookie: &Cookie) -> Result<(), Error> {
        self.operate(Operation::Delete { cookie: cookie.clone(), verifier: None }, |_, _| Ok(()))
    }

    /// What the server takes, and the user that this client's key has signed up as, if it has.
    ///
    /// # Errors
    /// [`Error`]
    pub fn information(&self) -> Result<(Option<ServerLimits>, Option<Account>), Error> {
        self.ask(Operation::Information)
    }

    /// Makes this client's key a user of the server.
    ///
    /// # Errors
    /// [`Error`]
    pub fn sign_up(
        &self,
        name: UserName,
        invite: Option<Invite>,
    ) -> Result<Option<Account>, Error> {
        self.ask(Operation::SignUp { name, invite }).map(|(_, account)| account)
    }

    fn ask(&self, operation: Operation) -> Result<(Option<ServerLimits>, Option<Account>), Error> {
        let mut answer = (None, None);
        self.operate(operation, |_, call| {
            if let Call::Event(ClientEvent::Account { limits, account }) = call {
                answer = (limits, account);
            }
            Ok(())
        })?;
        Ok(answer)
    }

    /// Connects, and runs a session with one operation, or those that `serve` starts after it, to
    /// its end.
    fn operate(
        &self,
        first: Operation,
        mut serve: impl FnMut(&mut ClientSession, Call<ClientSession>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let known = self.trust.known(&self.server)?;
        let mut session = ClientSession::new(self.config.clone());
        if let Some(key) = known {
            session = session.expecting(key);
        }
        session.start(first);
        let stream = connect(&self.server, CONNECT)
            .map_err(|source| Error::Connect { server: self.server.clone(), source })?;
        Driver::new(stream).run(&mut session, |session, call| match call {
            // The server has shown that the key is its own, and nothing was sent to it yet.
            Call::Event(ClientEvent::Connected(_)) if known.is_none() => match session.server_key()
            {
                Some(key) => self.trust.remember(&self.server, key),
                None => Ok(()),
            },
            Call::Request(ClientRequest::Operation) => {
                session.finish();
                Ok(())
            }
            call => serve(session, call),
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.server).finish_non_exhaustive()
    }
}

fn read_some(source: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
