//! A connection of FSS/2 of which a test scripts one end, frame by frame: for peers that no
//! machine of ours would be.

use std::sync::Arc;
use std::time::Duration;

use fss::crypto::{PrivateKey, PublicKeyDer, Share};
use fss::wire::error_frame::ErrorFrame;
use fss::wire::hello::{Hello, Role};
use fss::wire::key_exchange;
use fss::wire::key_schedule::{Binding, Handshake, HelloTranscript, Keys};
use fss::wire::record::{Direction, PREFIX};
use fss::wire::reply::{Reply, ReplyContext, ServerLimits, Welcome};
use fss::wire::request::Request;
use fss::wire::rsa_message::{Opened, Receiver, seal_message};
use fss::{Config, Error, Step, Time};

use crate::keys;
use crate::rng::SeededRng;
use crate::sim_net::{Caller, Served};

/// More steps than a machine needs between two messages.
const STEPS: usize = 100_000;

/// The largest file and the window that a scripted server announces.
pub const LIMITS: ServerLimits = ServerLimits::new(Some(1 << 40), 8 << 20);

/// A machine, and the peer that a test scripts.
pub struct ScriptedPeer<'a, M: Served> {
    /// The machine at the other end.
    pub machine: M,
    /// What it has reported so far.
    pub events: Vec<M::Event>,
    /// The program around it.
    pub caller: Caller<'a>,
    /// Where in memory each write of the machine began.
    pub written_from: Vec<usize>,
    now: Time,
    config: Config,
    /// What messages are opened with: a client's own key, or a server's transport key.
    key: Arc<dyn PrivateKey>,
    rng: SeededRng,
    peer: Option<PublicKeyDer>,
    /// What the machine sent and the peer has not read, and what was sent to it and is unread.
    said: Vec<u8>,
    unread: Vec<u8>,
    records: Option<Records>,
    gone: bool,
    end: Option<Result<(), Error>>,
    /// How many bytes the machine gets out at once, and how long that takes.
    pace: (usize, Duration),
}

struct Records {
    send: Direction,
    receive: Direction,
    handshake: Handshake,
    /// Once the server's identity is known.
    binding: Option<Binding>,
}

/// Half of a hello that is kept to oneself.
pub struct Secrets {
    share: Box<dyn Share>,
    hello: Hello,
}

impl<'a, M: Served> ScriptedPeer<'a, M> {
    /// A connection without any bytes yet. `config` is that of the scripted end;
    /// `source` is what the machine uploads.
    pub fn new(machine: M, config: Config, source: &'a [u8]) -> Self {
        let caller = Caller::new(source);
        let (events, said, unread) = (Vec::new(), Vec::new(), Vec::new());
        let (peer, records, gone, end) = (None, None, false, None);
        let (now, pace) = (Time::ZERO, (usize::MAX, Duration::ZERO));
        let (key, rng) = (Arc::clone(config.identity()), SeededRng(7));
        let mut scripted = Self {
            machine,
            events,
            caller,
            written_from: Vec::new(),
            now,
            config,
            key,
            rng,
            peer,
            said,
            unread,
            records,
            gone,
            end,
            pace,
        };
        scripted.settle();
        scripted
    }

    /// A connection without any bytes yet, scripted as a server with the identity of
    /// `config` and the transport key of the vectors.
    pub fn new_server(machine: M, config: Config, source: &'a [u8]) -> Self {
        let key = keys::transport(&**config.provider());
        Self::new(machine, config, source).with_key(key)
    }

    /// Opens messages with another key than the identity of the configuration.
    #[must_use]
    pub fn with_key(self, key: Arc<dyn PrivateKey>) -> Self {
        Self { key, ..self }
    }

    /// Speaks for a client up to the server's first record, and checks what that proves.
    pub fn as_client(server: M, config: Config) -> Self {
        let mut scripted = Self::new(server, config, &[]);
        scripted.exchange_keys();
        let secrets = scripted.secrets();
        let hello = secrets.hello.encode(Role::Client);
        scripted.say_message(&hello);
        let answer = scripted.hear_message();
        scripted.agree(secrets, &answer, Role::Client);
        let first = scripted.hear();
        let Ok(Reply::Welcome(welcome)) = Reply::parse(&first, ReplyContext::Other) else {
            panic!("a server says who it is")
        };
        let identity = PublicKeyDer::parse(&welcome.identity).expect("it is a key");
        assert_ne!(
            Some(&identity),
            scripted.peer.as_ref(),
            "the identity is not the transport key"
        );
        let signed = scripted.know(&identity);
        let key = scripted.config.provider().load_public_key(&identity).expect("it is a key");
        assert_eq!(key.verify(&signed, &welcome.signature), Ok(()));
        scripted
    }

    /// Speaks for a server up to its first record.
    pub fn as_server(client: M, config: Config, source: &'a [u8]) -> Self {
        let mut scripted = Self::up_to_hello(client, config, source);
        let welcome = scripted.welcome();
        scripted.say(&Reply::Welcome(welcome).encode());
        scripted
    }

    /// What an honest server says in its first record.
    pub fn welcome(&mut self) -> Welcome {
        let identity = Arc::clone(self.config.identity());
        let signed = self.know(identity.public_key());
        let signature = identity.sign(&signed, &mut self.rng).expect("the key signs");
        Welcome { identity: identity.public_key().as_bytes().to_vec(), signature, limits: LIMITS }
    }

    /// Binds the connection to the server's identity, and gives what that signs.
    pub fn know(&mut self, identity: &PublicKeyDer) -> Vec<u8> {
        let records = self.records.as_mut().expect("hellos are said");
        let transcript = records.handshake.with_identity(identity).expect("it is a key");
        records.binding = Some(transcript.binding.clone());
        transcript.to_be_signed()
    }

    /// Speaks for a server that has said hello, and nothing since.
    pub fn up_to_hello(client: M, config: Config, source: &'a [u8]) -> Self {
        Self::new_server(client, config, source).greeted()
    }

    /// Exchanges keys and hellos, for a server.
    #[must_use]
    pub fn greeted(mut self) -> Self {
        let scripted = &mut self;
        scripted.exchange_keys();
        let secrets = scripted.secrets();
        let hello = scripted.hear_message();
        let answer = secrets.hello.encode(Role::Server);
        scripted.say_message(&answer);
        scripted.agree(secrets, &hello, Role::Server);
        self
    }

    /// Hears the machine's key, and says ours.
    pub fn exchange_keys(&mut self) {
        let own = self.key.public_key().clone();
        self.exchange_key_for(own.as_bytes());
    }

    /// Reads the machine's key, and sends one that need not be ours.
    pub fn exchange_key_for(&mut self, der: &[u8]) {
        let (machine, used) =
            key_exchange::read(&self.said).expect("it is a key").expect("it is whole");
        self.peer = Some(PublicKeyDer::parse(&machine).expect("it is a key"));
        self.said.drain(..used);
        self.say_raw(&key_exchange::write(der));
    }

    fn secrets(&self) -> Secrets {
        let share = self.config.provider().share(&[0x5a; 32]);
        let hello = Hello { share: share.public(), secret: [0xa5; 32].into() };
        Secrets { share, hello }
    }

    fn agree(&mut self, secrets: Secrets, theirs: &[u8], speaker: Role) {
        let Secrets { share, hello } = secrets;
        let their_speaker = if speaker == Role::Client { Role::Server } else { Role::Client };
        let their_hello = Hello::parse(theirs, their_speaker).expect("it is a hello");
        let plaintext = hello.encode(speaker);
        let own =
            HelloTranscript { key: self.key.public_key(), plaintext: &plaintext, hello: &hello };
        let peer = self.peer.as_ref().expect("keys are exchanged");
        let peer = HelloTranscript { key: peer, plaintext: theirs, hello: &their_hello };
        let (client, server) = if speaker == Role::Client { (own, peer) } else { (peer, own) };
        let keys = Keys::derive(share, &their_hello, client, server).expect("the share is sound");
        let direction = |traffic| Direction::new(Arc::clone(self.config.provider()), traffic);
        let (client, server) = (direction(keys.client), direction(keys.server));
        let (handshake, binding) = (keys.handshake, None);
        self.records = Some(match speaker {
            Role::Client => Records { send: client, receive: server, handshake, binding },
            Role::Server => Records { send: server, receive: client, handshake, binding },
        });
    }

    /// What proofs on this connection are bound to.
    pub fn binding(&self) -> &[u8; 32] {
        self.records
            .as_ref()
            .and_then(|records| records.binding.as_ref())
            .expect("the server's identity is known")
    }

    /// Says bytes as they are.
    pub fn say_raw(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        self.settle();
    }

    /// Says an RSA message.
    pub fn say_message(&mut self, plaintext: &[u8]) {
        let peer = self.peer.as_ref().expect("keys are exchanged");
        let key = self.config.provider().load_public_key(peer).expect("it is a key");
        let mut blocks = Vec::new();
        seal_message(&*key, plaintext, &mut self.rng, &mut blocks).expect("it is short");
        self.say_raw(&blocks);
    }

    /// Says a record.
    pub fn say(&mut self, frame: &[u8]) {
        let record = self.sealed(frame);
        self.say_raw(&record);
    }

    /// Seals the next record, to be said as it is or otherwise.
    pub fn sealed(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut record = [&[0; PREFIX], frame, &[0; 16]].concat();
        self.records
            .as_mut()
            .expect("hellos are said")
            .send
            .seal(&mut record)
            .expect("it has a length that can be sealed");
        record
    }

    /// All bytes that the machine has sent and the peer has not read.
    pub fn said(&self) -> &[u8] {
        &self.said
    }

    /// Takes them.
    pub fn hear_raw(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.said)
    }

    /// The RSA message that the machine has said.
    pub fn hear_message(&mut self) -> Vec<u8> {
        let (message, used) = open_message(&self.key, &self.said);
        self.said.drain(..used);
        message
    }

    /// The next frame that the machine has said, if there is one.
    pub fn hear_if_any(&mut self) -> Option<Vec<u8>> {
        let length = PREFIX + u32::from_be_bytes(*self.said.first_chunk::<PREFIX>()?) as usize;
        let mut record: Vec<u8> = self.said.drain(..length).collect();
        let frame = self
            .records
            .as_mut()?
            .receive
            .open(&mut record)
            .expect("it is the next record")
            .to_vec();
        Some(frame)
    }

    /// The next frame that the machine has said.
    pub fn hear(&mut self) -> Vec<u8> {
        self.hear_if_any().unwrap_or_else(|| {
            panic!("the machine has said nothing: {:?} {:?}", self.end, self.events)
        })
    }

    /// The next frame, which must be a refusal.
    pub fn hear_refusal(&mut self) -> ErrorFrame {
        let frame = self.hear();
        match Reply::parse(&frame, ReplyContext::Other) {
            Ok(Reply::Refusal(refused)) => refused,
            _ => panic!("it is no refusal: {:?}", frame.escape_ascii().to_string()),
        }
    }

    /// Asks a server, and gives the first frame of its answer.
    pub fn ask(&mut self, request: &Request<'_>) -> Vec<u8> {
        self.say(&request.encode());
        self.hear()
    }

    /// How the machine has ended, if it has.
    pub fn end(&self) -> Option<&Result<(), Error>> {
        self.end.as_ref()
    }

    /// The time of the machine.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Says nothing for so long.
    pub fn let_pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.settle();
    }

    /// From now on takes what the machine says at this pace.
    pub fn hear_slowly(&mut self, bytes: usize, time: Duration) {
        self.pace = (bytes, time);
    }

    /// Says no more, and gives how the machine ends.
    ///
    /// # Errors
    /// Those of the machine.
    pub fn leave(&mut self) -> Result<(), Error> {
        self.gone = true;
        self.settle();
        self.end.clone().expect("a machine whose peer has gone ends")
    }

    /// Runs the machine until it waits for this end, or has ended.
    fn settle(&mut self) {
        for _ in 0..STEPS {
            if self.end.is_some() {
                return;
            }
            match self.machine.poll(self.now) {
                Ok(Step::Send) => {
                    let output = self.machine.buffers().1;
                    let count = output.len().min(self.pace.0);
                    self.written_from.push(output.as_ptr().addr());
                    self.said.extend_from_slice(&output[..count]);
                    self.machine.sent(count);
                    self.now = self.now + self.pace.1;
                }
                Ok(Step::Receive) if self.unread.is_empty() && !self.gone => return,
                Ok(Step::Receive) => {
                    let room = self.machine.buffers().0;
                    let count = room.len().min(self.unread.len());
                    room[..count].copy_from_slice(&self.unread[..count]);
                    self.unread.drain(..count);
                    self.machine.received(count);
                }
                // The side that reads the last message closes.
                Ok(Step::Shutdown) => self.gone = true,
                Ok(Step::Sleep(time)) => self.now = self.now + time,
                Ok(Step::Request(request)) => self.machine.serve(request, &mut self.caller),
                Ok(Step::Event(event)) => self.events.push(event),
                Ok(Step::Yield) => {}
                Ok(Step::Close) => self.end = Some(Ok(())),
                Err(error) => self.end = Some(Err(error)),
            }
        }
        panic!("the machine does not come to rest: {:?}", self.events);
    }
}

/// Decrypts the RSA message at the beginning of the input, and returns its length in bytes.
pub fn open_message(key: &Arc<dyn PrivateKey>, bytes: &[u8]) -> (Vec<u8>, usize) {
    let (mut receiver, mut start) = (Receiver::new(Arc::clone(key)), 0);
    loop {
        let (used, opened) =
            receiver.open_block(&bytes[start..], &mut SeededRng(8)).expect("it opens");
        start += used;
        match opened {
            Opened::Incomplete => panic!("there is no whole message"),
            Opened::Block => {}
            Opened::Message => return (receiver.take_message().to_vec(), start),
        }
    }
}
