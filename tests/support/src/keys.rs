//! The two RSA keys of the recordings and the transport key of the vectors, so that no test waits
//! for a key to be made.

use std::sync::Arc;

use fss::Config;
use fss::Secret;
use fss::crypto::key_encoding::pkcs1_to_pkcs8;
use fss::crypto::{CryptoProvider, PrivateKey};
use fss::server::{ServerState, TransportKeys};

const RECORDED: &str = include_str!("../../vectors/v1/primitives.json");

const TRANSPORT: &str = include_str!("../../vectors/v2/transport_key.pem");

/// A server with the identity of the recordings, and a transport key that is always the same.
pub fn server_state(provider: Arc<dyn CryptoProvider>) -> ServerState {
    let (identity, transport) = (server(&*provider), transport(&*provider));
    with_transport_key(Config::new(provider, identity), transport)
}

/// A server that has this transport key for ever.
pub fn with_transport_key(config: Config, key: Arc<dyn PrivateKey>) -> ServerState {
    ServerState::new(config).with_transport_keys(Arc::new(TransportKeys::fixed(key)))
}

/// The transport key of a server.
///
/// # Panics
/// If the provider refuses it.
pub fn transport(provider: &dyn CryptoProvider) -> Arc<dyn PrivateKey> {
    let text: String = TRANSPORT.lines().filter(|line| !line.starts_with('-')).collect();
    provider
        .load_private_key(&Secret::new(base64(&text)))
        .expect("the provider takes the key of the vectors")
}

/// The server's key of the recordings: to the peers of 2019 it is what messages are sealed to, here
/// it is an identity.
///
/// # Panics
/// If the provider refuses it.
pub fn server(provider: &dyn CryptoProvider) -> Arc<dyn PrivateKey> {
    recorded(provider, 1)
}

/// The client's key of the recordings.
///
/// # Panics
/// If the provider refuses it.
pub fn client(provider: &dyn CryptoProvider) -> Arc<dyn PrivateKey> {
    recorded(provider, 0)
}

/// The recorded PKCS#1 key in DER, by its place in the file from the end.
fn recorded(provider: &dyn CryptoProvider, from_end: usize) -> Arc<dyn PrivateKey> {
    const BEGIN: &str = "-----BEGIN RSA PRIVATE KEY-----";
    const END: &str = "-----END RSA PRIVATE KEY-----";
    let begin = RECORDED.rmatch_indices(BEGIN).nth(from_end).expect("the file has two keys").0
        + BEGIN.len();
    let length = RECORDED[begin..].find(END).expect("the key ends");
    let text = RECORDED[begin..begin + length].replace("\\n", "");
    let pkcs8 = pkcs1_to_pkcs8(&Secret::new(base64(&text))).expect("the key is short enough");
    provider.load_private_key(&pkcs8).expect("the provider takes the recorded key")
}

/// Decodes base64; this package needs it only here.
fn base64(text: &str) -> Vec<u8> {
    let value = |byte| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let bits: Vec<u8> = text.bytes().filter(|&byte| byte != b'=').map(value).collect();
    bits.chunks(4)
        .flat_map(|group| {
            let word = group.iter().fold(0_u32, |word, &six| word << 6 | u32::from(six))
                << (6 * (4 - group.len()));
            word.to_be_bytes()[1..group.len()].to_vec()
        })
        .collect()
}
