//! A session with a server in FSS/2: which server, whether its key is trusted, and how its errors
//! are reported.

use fss::client::{ClientEvent, ClientSession};
use fss::crypto::Fingerprint;
use fss::profile::ProtocolVersion;
use fss::{Phase, Report};

use crate::client::account::{Account, Unlocked};
use crate::client::drive;
use crate::client::options::Options;
use crate::client::session_error::{SessionError, key_changed, not_the_known_key, other_key};
use crate::terminal::failure::{Failure, code};
use crate::terminal::print;
use fss::driver::Call;

/// A server, and who asks it.
pub struct Session<'a> {
    pub account: &'a Account,
    pub unlocked: &'a Unlocked,
    options: &'a Options,
    pub server: String,
}

impl<'a> Session<'a> {
    /// With the server that a file's record names, if it does.
    pub fn new(
        account: &'a Account,
        unlocked: &'a Unlocked,
        options: &'a Options,
        recorded: Option<&str>,
    ) -> Self {
        Self { account, unlocked, options, server: options.server(recorded) }
    }

    pub fn say(&self, text: &str) {
        self.account.reporter.say(text);
    }

    /// Connects, and runs a machine to its end. `serve` gets its calls once the server has shown
    /// its key.
    pub fn run(
        &self,
        mut serve: impl FnMut(&mut ClientSession, Call<ClientSession>) -> Result<(), SessionError>,
    ) -> Result<(), SessionError> {
        let mut expected = self.expected()?;
        loop {
            let mut machine =
                ClientSession::new(self.unlocked.config.clone()).continue_after_refusals();
            if let Some(expected) = expected {
                machine = machine.expecting(expected);
            }
            let (mut stranger, mut connected) = (None, false);
            let ended = drive::run(&mut machine, &self.server, |machine, call| match call {
                Call::Event(ClientEvent::ServerKey(key))
                    if expected.is_none() && print::can_ask() =>
                {
                    // Nobody waits for an answer with a connection open.
                    stranger = Some(key);
                    Err(SessionError::Stranger)
                }
                Call::Event(ClientEvent::ServerKey(_)) => Ok(()),
                Call::Event(ClientEvent::Connected(_)) => {
                    connected = true;
                    self.remember(machine)
                }
                call => serve(machine, call),
            });
            match (ended, stranger) {
                (Err(SessionError::Stranger), Some(key)) => {
                    self.ask(key)?;
                    expected = Some(key);
                }
                (ended, _) => return ended.map_err(|stopped| self.explain(stopped, connected)),
            }
        }
    }

    /// The key that the server must have.
    fn expected(&self) -> Result<Option<Fingerprint>, Failure> {
        let known =
            self.account.profile.known_servers().get(&self.server)?.map(|known| known.fingerprint);
        match (self.options.fingerprint, known) {
            (Some(wanted), Some(known)) if wanted != known => {
                Err(not_the_known_key(&self.server, known, wanted))
            }
            (wanted, known) => Ok(wanted.or(known)),
        }
    }

    fn ask(&self, key: Fingerprint) -> Result<(), Failure> {
        let question = format_args!(
            "{} is new here. Its key is\n  {key}\nIs that the server's key?",
            self.server
        );
        if print::confirms(question) {
            return Ok(());
        }
        let why = "you did not confirm its key";
        let hint =
            "ask its operator for the output of `fss-server fingerprint`, and use --fingerprint";
        Err(Failure::new(code::OTHER, format!("nothing was sent to {}", self.server), why, hint))
    }

    /// The server has shown that the key is its own.
    fn remember(&self, machine: &ClientSession) -> Result<(), SessionError> {
        let Some(key) = machine.server_key() else { return Ok(()) };
        let servers = self.account.profile.known_servers();
        let was_asked = self.options.fingerprint.is_none() && print::can_ask();
        if !was_asked && servers.get(&self.server).map_err(Failure::from)?.is_none() {
            self.say(&format!("{} is new here; its key {key} is remembered", self.server));
        }
        Ok(servers.remember(&self.server, key, ProtocolVersion::Fss2).map_err(Failure::from)?)
    }

    /// What only is known here: which server it is, and what it has spoken before.
    fn explain(&self, stopped: SessionError, connected: bool) -> SessionError {
        let SessionError::Session(error) = &stopped else { return stopped };
        if let fss::Error::ServerKeyChanged { expected, got } = error {
            let tell =
                if self.options.fingerprint == Some(*expected) { other_key } else { key_changed };
            return tell(&self.server, *expected, *got).into();
        }
        let refused = matches!(error, fss::Error::PeerRefused(refusal) if refusal.code.is_none());
        let left = matches!(error, fss::Error::Disconnected(Phase::Request));
        if (refused || left) && !connected { self.no_fss2(error).into() } else { stopped }
    }

    /// The server did not take the hello.
    fn no_fss2(&self, error: &fss::Error) -> Failure {
        let what = format!("{} does not speak FSS/2", self.server);
        let spoken = self.account.profile.known_servers().get(&self.server).ok().flatten();
        if spoken.is_some_and(|known| known.version >= ProtocolVersion::Fss2) {
            let why = format!(
                "{}; but it has spoken FSS/2 before, so a man in the middle may be present",
                Report(error)
            );
            return Failure::new(
                code::NETWORK,
                what,
                why,
                "the same command again; if it stays so, ask its operator",
            );
        }
        let why = format!("{}; perhaps it speaks only FSS 1.0", Report(error));
        Failure::new(code::OTHER, what, why, "--protocol 1.0, if you trust the network between")
    }
}
