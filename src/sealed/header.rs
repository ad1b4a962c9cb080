//! The 64 bytes before the chunks: the parameters of the key derivation (`docs/protocol.md` §21.2).

use rand_core::CryptoRng;

/// The cost of deriving a key, and so of each guess at a password (`docs/protocol.md` §21.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cost {
    memory: u8,
    passes: u8,
    lanes: u8,
}

impl Cost {
    /// The default: 64 MiB, 3 passes, one lane.
    pub const DEFAULT: Self = Self { memory: 16, passes: 3, lanes: 1 };

    /// A cost; `memory` is the binary logarithm of KiB.
    ///
    /// # Errors
    /// [`InvalidHeader::Cost`] outside 16 to 18, 3 to 10 passes, 1 to 4 lanes: otherwise a server
    /// could weaken the key that a proof is computed from, or exhaust a client.
    pub fn new(memory: u8, passes: u8, lanes: u8) -> Result<Self, InvalidHeader> {
        let within =
            (16..=18).contains(&memory) && (3..=10).contains(&passes) && (1..=4).contains(&lanes);
        if within {
            Ok(Self { memory, passes, lanes })
        } else {
            Err(InvalidHeader::Cost { memory, passes, lanes })
        }
    }

    /// Memory in KiB.
    pub fn memory_kib(self) -> u32 {
        1 << self.memory
    }

    /// Passes over the memory.
    pub fn passes(self) -> u32 {
        self.passes.into()
    }

    /// Lanes of the memory.
    pub fn lanes(self) -> u32 {
        self.lanes.into()
    }
}

/// The header of a sealed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    cost: Cost,
    salt: [u8; 16],
    file_id: [u8; 32],
}

const MAGIC: &[u8; 4] = b"FSS2";
const VERSION: u8 = 1;
const ARGON2ID: u8 = 1;
const LOG2_CHUNK: u8 = 16;

impl Header {
    /// Length in bytes.
    pub const LENGTH: usize = 64;

    /// A header for a new file, with a salt of its own.
    pub fn new(cost: Cost, rng: &mut impl CryptoRng) -> Self {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        Self::with_salt(cost, salt, rng)
    }

    /// A header for a new file with a salt that is used for several files of one password, so that
    /// the costly derivation is done once.
    pub fn with_salt(cost: Cost, salt: [u8; 16], rng: &mut impl CryptoRng) -> Self {
        let mut file_id = [0; 32];
        rng.fill_bytes(&mut file_id);
        Self::from_parts(cost, salt, file_id)
    }

    /// A header with these parts. A file id is random and never used for two files.
    pub fn from_parts(cost: Cost, salt: [u8; 16], file_id: [u8; 32]) -> Self {
        Self { cost, salt, file_id }
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`InvalidHeader`] for anything that this version does not write. No key is derived for it.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidHeader> {
        let bytes: &[u8; Self::LENGTH] =
            bytes.try_into().map_err(|_| InvalidHeader::Length { length: bytes.len() })?;
        let [m0, m1, m2, m3, version, kdf, memory, passes, lanes, chunk, rest @ ..] = bytes;
        if [*m0, *m1, *m2, *m3] != *MAGIC {
            return Err(InvalidHeader::Magic);
        }
        if (*version, *kdf, *chunk) != (VERSION, ARGON2ID, LOG2_CHUNK) {
            return Err(InvalidHeader::Version { version: *version, kdf: *kdf, chunk: *chunk });
        }
        let cost = Cost::new(*memory, *passes, *lanes)?;
        let (zeros, rest) = rest.split_at(6);
        if zeros != [0; 6] {
            return Err(InvalidHeader::Reserved);
        }
        let (mut salt, mut file_id) = ([0; 16], [0; 32]);
        salt.copy_from_slice(&rest[..16]);
        file_id.copy_from_slice(&rest[16..]);
        Ok(Self { cost, salt, file_id })
    }

    /// The header as it is stored.
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4..10].copy_from_slice(&[
            VERSION,
            ARGON2ID,
            self.cost.memory,
            self.cost.passes,
            self.cost.lanes,
            LOG2_CHUNK,
        ]);
        bytes[16..32].copy_from_slice(&self.salt);
        bytes[32..].copy_from_slice(&self.file_id);
        bytes
    }

    /// The cost of the derivation.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The salt of the password.
    pub fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    /// The unique number of this file.
    pub fn file_id(&self) -> &[u8; 32] {
        &self.file_id
    }
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// There are too few bytes, or too many.
    #[error("a header has 64 bytes, not {length}")]
    Length {
        /// How many there are.
        length: usize,
    },
    /// It does not begin with `FSS2`.
    #[error("it is not the header of a sealed file")]
    Magic,
    /// A version, key derivation or chunk size that this program does not know.
    #[error(
        "it needs a newer program (version {version}, key derivation {kdf}, chunk size 2^{chunk})"
    )]
    Version {
        /// Version of the format.
        version: u8,
        /// Number of the key derivation.
        kdf: u8,
        /// Binary logarithm of the chunk size.
        chunk: u8,
    },
    /// The derivation would be too cheap to be safe, or too costly to be intended.
    #[error("its cost is out of bounds (2^{memory} KiB, {passes} passes, {lanes} lanes)")]
    Cost {
        /// Binary logarithm of the memory in KiB.
        memory: u8,
        /// Passes.
        passes: u8,
        /// Lanes.
        lanes: u8,
    },
    /// Bytes that must be zero are not.
    #[error("reserved bytes are not zero")]
    Reserved,
}
