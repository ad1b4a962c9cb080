//! The key exchange: each side's RSA public key as PEM, in clear and unframed (`docs/protocol.md`
//! §2).

use crate::pem::{self, PUBLIC_KEY};

/// The longest key that is read, in bytes of PEM.
pub const MAX_LENGTH: usize = 4096;

/// The most bytes of white space that a peer may append to its key.
pub const MAX_WHITE_SPACE: usize = 16;

/// Why a peer's key exchange is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyExchange {
    /// The first bytes are not those of a public key in PEM: the peer may use another protocol.
    #[error("it does not begin with a public key in PEM")]
    NoKey,
    /// The key does not end within 4096 bytes.
    #[error("the key does not end within {MAX_LENGTH} bytes")]
    TooLong,
    /// The text between the first and the last line is not base64.
    #[error("the key is not base64")]
    Base64,
}

/// Looks for a whole key at the beginning of `input`.
///
/// Returns the key's `SubjectPublicKeyInfo` in DER and the length of its PEM, or `None` if more
/// bytes are needed. The key ends with its last line; white space after it is left for the reader
/// of messages (`docs/protocol.md` §2).
///
/// # Errors
/// [`InvalidKeyExchange`], as soon as the bytes can no longer become a key.
pub fn read(input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, InvalidKeyExchange> {
    let first = pem::first_line(PUBLIC_KEY);
    let compared = input.len().min(first.len());
    if input[..compared] != first.as_bytes()[..compared] {
        return Err(InvalidKeyExchange::NoKey);
    }
    let input = &input[..input.len().min(MAX_LENGTH)];
    match pem::read(input, PUBLIC_KEY) {
        Ok(None) if input.len() == MAX_LENGTH => Err(InvalidKeyExchange::TooLong),
        Ok(found) => Ok(found),
        Err(pem::NotBase64) => Err(InvalidKeyExchange::Base64),
    }
}

/// Encodes a key as 2019 peers do: lines of 64 characters and no newline at the end.
pub fn write(spki_der: &[u8]) -> Vec<u8> {
    pem::write(spki_der, PUBLIC_KEY).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_whatever_comes_after() {
        for der in [vec![], vec![7; 1], vec![8; 48], vec![9; 294]] {
            let pem = write(&der);
            assert!((0..pem.len()).all(|cut| read(&pem[..cut]) == Ok(None)));
            let longer = [pem.as_slice(), b"\n more"].concat();
            assert_eq!(read(&longer), Ok(Some((der, pem.len()))));
        }
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        assert_eq!(read(b"SSH-2.0-OpenSSH"), Err(InvalidKeyExchange::NoKey));
        assert_eq!(read(b"\n-----BEGIN"), Err(InvalidKeyExchange::NoKey));
        let first = pem::first_line(PUBLIC_KEY);
        let endless = [first.as_bytes(), &[b'A'; MAX_LENGTH]].concat();
        assert_eq!(read(&endless), Err(InvalidKeyExchange::TooLong));
        assert_eq!(
            read(b"-----BEGIN PUBLIC KEY-----\n*\n-----END PUBLIC KEY-----"),
            Err(InvalidKeyExchange::Base64)
        );
    }
}
