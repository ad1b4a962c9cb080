//! Requests besides transfers: list, delete, information, sign-up.

use std::fmt;

use fss::client::{ClientEvent, ClientRequest, ClientSession, Operation};
use fss::crypto::Fingerprint;
use fss::crypto::legacy::{FileKey, Verifier};
use fss::profile::{FileRecord, Format};
use fss::protocol::ServerLimits;
use fss::store::Entry;
use fss::store::{Account as User, Invite, StoredFormat, UserName};
use fss::{Cookie, Password, Secret};
use serde_json::{Value, json};

use crate::client::account::{Account, FILE_PASSWORD};
use crate::client::keyring::Keyring;
use crate::client::listing::{self, not_listed};
use crate::client::options::{Options, Protocol};
use crate::client::report;
use crate::client::session::Session;
use crate::client::session_error::{SessionError, invalid_response, refused};
use crate::terminal::failure::{Failure, code};
use crate::terminal::secrets::Wanted;
use fss::driver::Call;

pub const INVITE: Wanted = Wanted { name: "invite", variable: "FSS_INVITE" };

/// The most files that are listed: a server that lists for ever must not fill the memory. Ten times
/// what one key may have.
const MOST_LISTED: usize = 1_000_000;

fn needs_fss2(options: &Options, what: &str) -> Result<(), Failure> {
    match options.protocol {
        Protocol::V2 => Ok(()),
        Protocol::V1 => Err(Failure::usage(
            format!("{what} cannot be used"),
            "FSS 1.0 has no such operation",
            "no --protocol 1.0",
        )),
    }
}

/// Runs operations, the next one depending on what the one before reported.
fn operate(
    session: &Session<'_>,
    what: &str,
    mut next: impl FnMut(Option<ClientEvent>) -> Result<Option<Operation>, Failure>,
) -> Result<(), Failure> {
    let mut reported = None;
    let ended = session.run(|machine: &mut ClientSession, call| {
        match call {
            Call::Request(ClientRequest::Operation) => match next(reported.take())? {
                Some(operation) => machine.start(operation),
                None => machine.finish(),
            },
            Call::Event(ClientEvent::Refused(refusal)) => {
                return Err(refused(what, &refusal).into());
            }
            // All of a list is wanted, and of anything else the last.
            Call::Event(event @ ClientEvent::Listed(_)) => drop(next(Some(event))?),
            Call::Event(event) => reported = Some(event),
            Call::Request(_) => {}
        }
        Ok(())
    });
    ended.map_err(|stopped: SessionError| stopped.failure(what))
}

/// The files that the server has of this profile's key.
pub fn list(account: &Account, options: &Options) -> Result<(), Failure> {
    needs_fss2(options, "list --remote")?;
    let unlocked = account.unlock()?;
    let session = Session::new(account, &unlocked, options, None);
    let known = account.profile.files().list()?;
    let what = "cannot list the files";
    let mut files: Vec<Entry> = Vec::new();
    let mut begun = false;
    operate(&session, what, |event| match event {
        None if !begun => {
            begun = true;
            Ok(Some(Operation::List { after: None }))
        }
        Some(ClientEvent::Listed(_)) if files.len() >= MOST_LISTED => {
            Err(invalid_response(&format!("it lists more than {MOST_LISTED} files")))
        }
        Some(ClientEvent::Listed(entry)) => {
            files.push(entry);
            Ok(None)
        }
        Some(ClientEvent::EndOfList { more: true }) => {
            Ok(Some(Operation::List { after: files.last().map(|entry| entry.cookie.clone()) }))
        }
        _ => Ok(None),
    })?;
    files.iter().try_for_each(|entry| {
        let name = known
            .iter()
            .find(|file| file.cookie.as_str() == entry.cookie.as_str())
            .map(|file| file.name.as_str());
        account.reporter.result(listing::remote_line(entry, name), report::entry(entry, name))
    })
}

pub fn delete(
    account: &Account,
    options: &Options,
    file: &str,
    own_password: bool,
) -> Result<(), Failure> {
    needs_fss2(options, "delete")?;
    let record = account.find(file)?;
    let cookie = record.as_ref().map_or(file, |record| record.cookie.as_str());
    let cookie: Cookie = cookie.parse().map_err(|_| not_listed(file))?;
    let unlocked = account.unlock()?;
    let own = own_password.then(|| FILE_PASSWORD.get()).transpose()?;
    let session = Session::new(
        account,
        &unlocked,
        options,
        record.as_ref().and_then(|record| record.server.as_deref()),
    );
    let mut keyring = Keyring::new(&unlocked, own.clone());
    // The key of this profile owns its sealed files. For any other file the password must be shown
    // to be known.
    let owned =
        record.as_ref().is_some_and(|record| record.format == Format::Sealed) && own.is_none();
    let mut begun = false;
    let what = format!("cannot delete {file}");
    operate(&session, &what, |event| {
        let verifier = match event {
            None if begun => return Ok(None),
            None if owned => None,
            None => {
                let verifier =
                    listed_verifier(&session, &mut keyring, record.as_ref(), own.as_ref())?;
                if verifier.is_none() {
                    begun = true;
                    return Ok(Some(Operation::Challenge { cookie: cookie.clone() }));
                }
                verifier
            }
            Some(ClientEvent::Challenged(StoredFormat::Sealed(header))) => {
                Some(keyring.key(&header)?.verifier().clone())
            }
            Some(ClientEvent::Challenged(StoredFormat::Legacy)) => {
                let why = "it is a file of FSS 1.0 and not on your list: the proof of its password would let the server guess it";
                return Err(Failure::usage(&what, why, "let it be deleted by whose it is"));
            }
            Some(_) => return Ok(None),
        };
        begun = true;
        Ok(Some(Operation::Delete { cookie: cookie.clone(), verifier }))
    })?;
    if let Some(record) = &record {
        account.profile.files().remove(&record.cookie)?;
    }
    let object = json!({ "event": "deleted", "cookie": cookie.as_str() });
    account.reporter.done(&format!("{file} is deleted"), object)
}

/// What shows that the password of a listed file is known; `None` if the file is not listed. It is
/// made from what the file was sealed with, not from what the server says of that.
fn listed_verifier(
    session: &Session<'_>,
    keyring: &mut Keyring<'_>,
    record: Option<&FileRecord>,
    own: Option<&Password>,
) -> Result<Option<Verifier>, Failure> {
    Ok(match record {
        None => None,
        Some(record) if record.format == Format::Legacy => {
            let password = match own {
                Some(own) => own.clone(),
                None if record.own_password => FILE_PASSWORD.get()?,
                None => session.unlocked.password_of(record.password)?.clone(),
            };
            Some(FileKey::derive(&password).verifier())
        }
        Some(record) => match &record.header {
            Some(header) => Some(keyring.key_of(header, record)?.verifier().clone()),
            None => None,
        },
    })
}

pub fn information(account: &Account, options: &Options) -> Result<(), Failure> {
    needs_fss2(options, "info")?;
    ask_account(account, options, "cannot ask the server", Operation::Information)?.show(account)
}

pub fn sign_up(
    account: &Account,
    options: &Options,
    name: &str,
    invite: bool,
) -> Result<(), Failure> {
    needs_fss2(options, "sign-up")?;
    let name = UserName::parse(name.as_bytes()).map_err(|error| {
        Failure::usage(
            format!("{name:?} cannot be the name of a user"),
            error.to_string(),
            "another name",
        )
    })?;
    let what = format!("cannot sign up as {}", name.as_str());
    let invite = if invite { Some(INVITE.get_or_read()?) } else { INVITE.environment()? };
    let invite = invite.as_ref().map(read_invite).transpose()?;
    let answer =
        ask_account(account, options, &what, Operation::SignUp { name: name.clone(), invite })?;
    match &answer.user {
        // A key has one name, and the server tells which.
        Some(user) if user.name != name => {
            let why = format!("your key has signed up there before, as {}", user.name.as_str());
            Err(Failure::new(
                code::OTHER,
                what,
                why,
                "ask its operator, who can remove that user; or another --profile",
            ))
        }
        _ => answer.show(account),
    }
}

fn read_invite(secret: &Secret) -> Result<Invite, Failure> {
    Invite::parse(secret.expose().trim_ascii()).map_err(|_| {
        Failure::usage(
            "the invite cannot be used",
            "it is not an invite: those have 44 characters",
            "the line that its operator has sent you",
        )
    })
}

/// What a server tells of itself and of whoever asks.
struct Answer {
    server: String,
    key: Fingerprint,
    limits: Option<ServerLimits>,
    user: Option<User>,
}

fn ask_account(
    account: &Account,
    options: &Options,
    what: &str,
    operation: Operation,
) -> Result<Answer, Failure> {
    let unlocked = account.unlock()?;
    let session = Session::new(account, &unlocked, options, None);
    let (mut operation, mut answer) = (Some(operation), None);
    operate(&session, what, |event| {
        if let Some(ClientEvent::Account { limits, account }) = event {
            answer = Some((limits, account));
        }
        Ok(operation.take())
    })?;
    let (limits, user) =
        answer.ok_or_else(|| invalid_response("the server closed before it answered"))?;
    Ok(Answer {
        server: session.server,
        key: unlocked.config.identity().public_key().fingerprint(),
        limits,
        user,
    })
}

impl Answer {
    fn show(&self, account: &Account) -> Result<(), Failure> {
        account.reporter.result(self, self.object())
    }

    fn object(&self) -> Value {
        let user = self
            .user
            .as_ref()
            .map(|User { name, quota, used, .. }| json!({ "name": name.as_str(), "quota": quota, "used": used }));
        let largest_file = self.limits.as_ref().and_then(|limits| limits.largest_file);
        let (server, key) = (&self.server, self.key.to_string());
        json!({ "event": "account", "server": server, "key": key, "largest_file": largest_file, "user": user })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "server        {}", self.server)?;
        writeln!(f, "your key      {}", self.key)?;
        if let Some(ServerLimits { largest_file, .. }) = &self.limits {
            writeln!(f, "largest file  {}", bytes(*largest_file))?;
        }
        match &self.user {
            Some(User { name, quota, used, .. }) => {
                writeln!(f, "user          {}", name.as_str())?;
                write!(f, "used          {used} bytes of {}", bytes(*quota))
            }
            None => write!(f, "user          none: you have not signed up"),
        }
    }
}

fn bytes(limit: Option<u64>) -> String {
    limit.map_or_else(|| "no limit".to_owned(), |number| format!("{number} bytes"))
}
