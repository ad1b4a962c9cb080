//! The PROXY protocol: what is taken for a header, how much is read of it, and what comes of
//! arbitrary bytes.

use std::net::{IpAddr, SocketAddr};

use fss::proxy::{InvalidHeader, LONGEST_V1, LONGEST_V2, Parsed, parse};
use proptest::prelude::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2 with this source, and so many bytes after the addresses.
fn version_2(command: u8, source: SocketAddr, more: usize) -> Vec<u8> {
    let (family, mut body) = match source.ip() {
        IpAddr::V4(ip) => (0x11, [ip.octets(), [198, 51, 100, 1]].concat()),
        IpAddr::V6(ip) => (0x21, [ip.octets(), [0x20; 16]].concat()),
    };
    body.extend(source.port().to_be_bytes());
    body.extend([3, 186]);
    body.extend(std::iter::repeat_n(4, more));
    raw(command, family, &body)
}

fn raw(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("it is short").to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

fn version_1(source: SocketAddr) -> Vec<u8> {
    let (family, destination) =
        if source.is_ipv4() { ("TCP4", "198.51.100.1") } else { ("TCP6", "2001:db8::1") };
    format!("PROXY {family} {} {destination} {} 954\r\n", source.ip(), source.port()).into_bytes()
}

/// Reads as a driver does, never more than is missing; gives the source and how many bytes were
/// read.
fn read(mut stream: &[u8]) -> Result<(Option<SocketAddr>, usize), Option<InvalidHeader>> {
    let mut bytes = Vec::new();
    loop {
        match parse(&bytes).map_err(Some)? {
            Parsed::Header { source } => return Ok((source, bytes.len())),
            Parsed::Incomplete { missing } => {
                assert!(missing > 0 && bytes.len() + missing <= LONGEST_V1.max(LONGEST_V2));
                let Some((part, rest)) = stream.split_at_checked(missing) else { return Err(None) };
                bytes.extend_from_slice(part);
                stream = rest;
            }
        }
    }
}

fn refused(stream: &[u8]) -> Option<InvalidHeader> {
    read(stream).expect_err("it is no header")
}

#[test]
fn headers_of_real_proxies_are_read() {
    let cases: [(&[u8], Option<&str>); 6] = [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 954\r\n", Some("192.0.2.7:40000")),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 954\r\n", Some("[2001:db8::7]:40000")),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff::1 65535 65535\r\n", None),
        // HAProxy's health check, and one with a checksum and padding after the addresses.
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", None),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x16\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x03\xba\x03\x00\x04\x01\x02\x03\x04\x04\x00\x00",
            Some("192.0.2.7:40000"),
        ),
    ];
    for (header, source) in cases {
        let expected = source.map(|source| source.parse().expect("an address"));
        let stream = [header, b"-----BEGIN PUBLIC KEY-----"].concat();
        assert_eq!(read(&stream), Ok((expected, header.len())), "{}", header.escape_ascii());
    }
}

#[test]
fn what_is_no_header_is_refused_at_once() {
    use InvalidHeader::{Malformed, Missing, TooLong};
    for (stream, why) in [
        (&b"-----BEGIN PUBLIC KEY-----"[..], Missing),
        (b"GET / HTTP/1.1\r\n", Missing),
        (b"proxy TCP4 192.0.2.7 198.51.100.1 40000 954\r\n", Missing),
        (b"PROXY\tUNKNOWN\r\n...", Missing),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 954\n\r\n", Malformed),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n", Malformed),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 954 \r\n", Malformed),
        (b"PROXY TCP4  192.0.2.7 198.51.100.1 40000 954\r\n", Malformed),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 +40000 954\r\n", Malformed),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 040000 954\r\n", Malformed),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 954\r\n", Malformed),
        (b"PROXY TCP4 192.0.2.007 198.51.100.1 1 954\r\n", Malformed),
        (b"PROXY TCP4 2001:db8::7 2001:db8::1 1 954\r\n", Malformed),
        (b"PROXY TCP6 192.0.2.7 198.51.100.1 1 954\r\n", Malformed),
        (b"PROXY UDP4 192.0.2.7 198.51.100.1 1 954\r\n", Malformed),
        (&[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(), TooLong),
        (&raw(0x11, 0x11, &[0; 12]), Malformed),
        (&raw(0x2f, 0x11, &[0; 12]), Malformed),
        (&raw(0x21, 0x13, &[0; 12]), Malformed),
        (&raw(0x21, 0x11, &[0; 11]), Malformed),
        (&raw(0x21, 0x21, &[0; 35]), Malformed),
        (&raw(0x21, 0x11, &vec![0; LONGEST_V2 - 15]), TooLong),
    ] {
        assert_eq!(refused(stream), Some(why), "{}", stream.escape_ascii());
    }
}

fn sources() -> impl Strategy<Value = SocketAddr> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from)
    ];
    (address, any::<u16>()).prop_map(|(address, port)| SocketAddr::new(address, port))
}

proptest! {
    #[test]
    fn a_source_survives_both_versions(source in sources(), more in 0..300_usize, rest: Vec<u8>) {
        for header in [version_1(source), version_2(0x21, source, more)] {
            let stream = [&header[..], &rest].concat();
            prop_assert_eq!(read(&stream), Ok((Some(source), header.len())), "nothing behind the header is read");
        }
        let local = version_2(0x20, source, more);
        prop_assert_eq!(read(&local), Ok((None, local.len())));
    }

    #[test]
    fn every_prefix_is_incomplete(source in sources(), more in 0..300_usize) {
        for header in [version_1(source), version_2(0x21, source, more)] {
            for length in 0..header.len() {
                let Ok(Parsed::Incomplete { missing }) = parse(&header[..length]) else { panic!("{length}") };
                prop_assert!(length + missing <= header.len());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes: Vec<u8>, after in 0..3_usize) {
        let signature = [&b""[..], b"PROXY ", SIGNATURE][after];
        let stream = [signature, &bytes].concat();
        let _ = parse(&stream);
        if let Ok((_, used)) = read(&stream) {
            prop_assert!(used <= LONGEST_V2);
        }
    }
}
