//! The hello: two RSA messages that upgrade an FSS 1.0 connection to FSS/2 (`docs/protocol.md`
//! §13).

use zeroize::Zeroizing;

use super::frame::{self, Arguments, Frame, InvalidFrame};
use crate::crypto::agreement::SHARE_LENGTH;

/// Length in bytes of the random secret in a hello.
pub const SECRET_LENGTH: usize = 32;

/// The name of the protocol's version.
const VERSION: &[u8] = b"FSS/2";

/// Which side sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `H`
    Client,
    /// `R`
    Server,
}

impl Role {
    fn flag(self) -> u8 {
        match self {
            Self::Client => b'H',
            Self::Server => b'R',
        }
    }
}

/// The content of a hello: one side's half of the key agreement.
#[derive(Clone)]
pub struct Hello {
    /// A public X25519 share, generated for this connection.
    pub share: [u8; SHARE_LENGTH],
    /// Random bytes that only the owner of the RSA key can read.
    pub secret: Zeroizing<[u8; SECRET_LENGTH]>,
}

impl Hello {
    /// Whether a first message asks for FSS/2, or for a version after it.
    pub fn is_hello(message: &[u8]) -> bool {
        message.starts_with(b"H\0")
    }

    /// Reads the plaintext of a hello.
    ///
    /// # Errors
    /// [`InvalidHello`] unless it has exactly these arguments in this order.
    pub fn parse(message: &[u8], speaker: Role) -> Result<Self, InvalidHello> {
        let [flag, 0, after @ ..] = message else { return Err(InvalidHello::Form) };
        if *flag != speaker.flag() {
            return Err(InvalidHello::Form);
        }
        // The version is checked first: another one may have another grammar.
        if after.split(|&byte| byte == 0).next() != Some(VERSION) {
            return Err(InvalidHello::Version);
        }
        let Frame::Other(_, arguments) = Frame::parse(message)? else {
            return Err(InvalidHello::Form);
        };
        Self::from_arguments(&arguments)
    }

    fn from_arguments(arguments: &Arguments<'_>) -> Result<Self, InvalidHello> {
        let [_] = arguments.positional() else { return Err(InvalidHello::Form) };
        let [("share", share), ("secret", secret)] = arguments.named() else {
            return Err(InvalidHello::Form);
        };
        Ok(Self {
            share: frame::from_base64(share)?,
            secret: Zeroizing::new(frame::from_base64(secret)?),
        })
    }

    /// The plaintext of the hello.
    pub fn encode(&self, speaker: Role) -> Zeroizing<Vec<u8>> {
        let secret = Zeroizing::new(frame::to_base64(&*self.secret));
        let share = frame::to_base64(&self.share);
        let pieces: [&[u8]; 8] = [
            &[speaker.flag(), 0],
            VERSION,
            b"\0share=",
            share.as_bytes(),
            b"\0secret=",
            secret.as_bytes(),
            b"\0",
            b"",
        ];
        Zeroizing::new(pieces.concat())
    }
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hello(..)")
    }
}

/// Why a message is not a valid hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHello {
    /// It is not a frame.
    #[error("the hello is not valid")]
    Frame(#[from] InvalidFrame),
    /// It has other arguments than those of a hello.
    #[error("the hello does not have exactly a version, a share and a secret")]
    Form,
    /// It requests a version that is neither 1.0 nor FSS/2.
    #[error("the hello requests a version that is not supported here")]
    Version,
    /// Its share would force an all-zero secret.
    #[error("the hello has a share that would force an all-zero secret")]
    Share,
}
