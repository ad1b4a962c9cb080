//! Requests and replies of FSS/2 (`docs/protocol.md` §17 to §20): each frame to the byte, and each
//! mistake with its code.

use fss::chain::ChainDigest;
use fss::crypto::legacy::Verifier;
use fss::crypto::proof::Proof;
use fss::sealed::{Cost, Header};
use fss::store::{Account, Entry, Invite, NewUpload, StoredFormat, UserName};
use fss::wire::error_frame::{ErrorCode, ErrorFrame};
use fss::wire::frame::to_base64;
use fss::wire::reply::{Reply, ReplyContext, ServerLimits, Welcome};
use fss::wire::request::Request;
use fss::{Cookie, PeerMessage};

fn header() -> Header {
    Header::from_parts(Cost::DEFAULT, [1; 16], [2; 32])
}

fn cookie() -> Cookie {
    Cookie::from_index(42)
}

fn name() -> UserName {
    UserName::parse(b"a.name").expect("it is one")
}

/// Replaces what is long: S a header, P a proof, V a verifier, I an invite, C a chain.
fn expand(frame: &str) -> Vec<u8> {
    let frame =
        frame.replace("{S}", &to_base64(&header().to_bytes())).replace("{P}", &to_base64(&[3; 48]));
    let frame = frame
        .replace("{V}", &to_base64(&[4; 48]))
        .replace("{I}", &to_base64(&[5; 32]))
        .replace("{C}", &"06".repeat(32));
    frame.replace('|', "\0").into_bytes()
}

#[test]
fn requests_to_the_byte() {
    let proof = || Proof::from_bytes([3; 48]);
    let upload = |size, keep, downloads| {
        let upload = NewUpload::new(header(), Verifier::from_bytes([4; 48]));
        Request::Upload(upload.with_size(size).with_keep(keep).with_downloads(downloads))
    };
    for (frame, request) in [
        ("U|seal={S}|verifier={V}|", upload(None, None, None)),
        ("U|seal={S}|verifier={V}|size=0|keep=60|downloads=1|", upload(Some(0), Some(60), Some(1))),
        (
            "U|seal={S}|cookie=42|proof={P}|offset=16784384|",
            Request::Resume {
                header: header(),
                cookie: cookie(),
                proof: proof(),
                offset: 16_784_384,
            },
        ),
        ("D|42|", Request::Challenge { cookie: cookie() }),
        ("D|42|proof={P}|", Request::Download { cookie: cookie(), proof: proof(), offset: 0 }),
        (
            "D|42|proof={P}|offset=65564|",
            Request::Download { cookie: cookie(), proof: proof(), offset: 65_564 },
        ),
        ("D|OK|offset=0|", Request::Taken { offset: 0 }),
        ("F|", Request::Data(b"")),
        ("F|a=|b", Request::Data(b"a=\0b")),
        ("L|", Request::List { after: None }),
        ("L|after=42|", Request::List { after: Some(cookie()) }),
        ("X|42|", Request::Delete { cookie: cookie(), proof: None }),
        ("X|42|proof={P}|", Request::Delete { cookie: cookie(), proof: Some(proof()) }),
        ("N|a.name|", Request::SignUp { name: name(), invite: None }),
        (
            "N|a.name|invite={I}|",
            Request::SignUp { name: name(), invite: Some(Invite::from_bytes([5; 32])) },
        ),
        ("I|", Request::Information),
        (
            "E|The protocol was broken.|code=protocol|",
            Request::Refusal(ErrorFrame::new(ErrorCode::Protocol, None)),
        ),
    ] {
        let frame = expand(frame);
        assert_eq!(Request::parse(&frame), Ok(request.clone()), "{request:?}");
        assert_eq!(request.encode(), frame, "{request:?}");
    }
}

#[test]
fn replies_to_the_byte() {
    let limits = ServerLimits::new(Some(9), 8);
    let chain = Some(ChainDigest::from_bytes([6; 32]));
    let accepted = |offset, chain, expires| Reply::Accepted {
        cookie: cookie(),
        offset,
        window: 8,
        chain,
        expires,
        keep: None,
        downloads: None,
    };
    let approved = |chain, expires, legacy| Reply::Approved { size: 5, chain, expires, legacy };
    let entry = |expires, downloads| {
        Reply::Entry(Entry::new(cookie(), 5, 6).with_expires(expires).with_downloads(downloads))
    };
    let account = || Some(Account::new(name(), 1).with_quota(Some(7)));
    for (frame, awaited, reply) in [
        (
            "K|identity=AQID|signature=BAU=|largest-file=9|window=8|",
            ReplyContext::Other,
            Reply::Welcome(Welcome { identity: vec![1, 2, 3], signature: vec![4, 5], limits }),
        ),
        ("R|42|offset=0|window=8|", ReplyContext::Upload, accepted(0, None, None)),
        (
            "R|42|offset=65564|window=8|chain={C}|expires=99|",
            ReplyContext::Upload,
            accepted(65_564, chain, Some(99)),
        ),
        (
            "R|42|offset=0|window=8|expires=99|keep=60|downloads=1|",
            ReplyContext::Upload,
            Reply::Accepted {
                cookie: cookie(),
                offset: 0,
                window: 8,
                chain: None,
                expires: Some(99),
                keep: Some(60),
                downloads: Some(1),
            },
        ),
        ("R|OK|offset=5|", ReplyContext::Upload, Reply::Received { offset: 5, chain: None }),
        ("R|OK|offset=5|chain={C}|", ReplyContext::Upload, Reply::Received { offset: 5, chain }),
        (
            "S|Challenge|seal={S}|",
            ReplyContext::Other,
            Reply::Challenge(StoredFormat::Sealed(header())),
        ),
        ("S|Challenge|format=1.0|", ReplyContext::Other, Reply::Challenge(StoredFormat::Legacy)),
        (
            "S|Approved|size=5|chain={C}|expires=99|",
            ReplyContext::Other,
            approved(chain, Some(99), false),
        ),
        ("S|Approved|size=5|format=1.0|", ReplyContext::Other, approved(None, None, true)),
        ("F|bytes", ReplyContext::Other, Reply::Data(b"bytes")),
        ("R|42|size=5|stored=6|", ReplyContext::List, entry(None, None)),
        (
            "R|42|size=5|stored=6|expires=99|downloads=2|",
            ReplyContext::List,
            entry(Some(99), Some(2)),
        ),
        ("R|END|", ReplyContext::List, Reply::EndOfList { more: false }),
        ("R|END|more=1|", ReplyContext::List, Reply::EndOfList { more: true }),
        ("R|OK|", ReplyContext::Deletion, Reply::Deleted),
        (
            "R|OK|name=a.name|quota=7|used=1|",
            ReplyContext::Information,
            Reply::Information { limits: None, account: account() },
        ),
        (
            "R|OK|largest-file=9|window=8|name=a.name|quota=7|used=1|",
            ReplyContext::Information,
            Reply::Information { limits: Some(limits), account: account() },
        ),
        (
            "E|Too many attempts.|code=too-many-attempts|retry=30|",
            ReplyContext::Upload,
            Reply::Refusal(ErrorFrame::new(ErrorCode::TooManyAttempts, Some(30))),
        ),
    ] {
        let frame = expand(frame);
        assert_eq!(Reply::parse(&frame, awaited), Ok(reply.clone()), "{reply:?}");
        assert_eq!(reply.encode(), frame, "{reply:?}");
    }
}

/// What a server tells a client about a frame that it cannot take.
#[test]
fn mistakes_of_a_client_have_the_codes_of_the_protocol() {
    let weak_header = to_base64(&{
        let mut header = header().to_bytes();
        header[6] = 10;
        header
    });
    for (frame, code) in [
        ("", ErrorCode::Protocol),
        ("Q|", ErrorCode::Protocol),
        ("R|OK|", ErrorCode::Protocol),
        ("D|42", ErrorCode::Protocol),
        ("D|a=b|42|", ErrorCode::Protocol),
        ("D|", ErrorCode::BadRequest),
        ("D|42|43|", ErrorCode::BadRequest),
        ("D|../../etc/passwd|", ErrorCode::BadRequest),
        ("D|OK|", ErrorCode::BadRequest),
        ("D|42|proof=AAAA|", ErrorCode::BadRequest),
        ("D|42|proof={P}|offset=-1|", ErrorCode::BadRequest),
        ("U|", ErrorCode::BadRequest),
        ("U|seal={S}|", ErrorCode::BadRequest),
        ("U|seal={S}|verifier={V}|size=07|", ErrorCode::BadRequest),
        ("U|seal={S}|verifier={V}|keep=0|", ErrorCode::BadRequest),
        ("U|seal={S}|verifier={V}|downloads=0|", ErrorCode::BadRequest),
        (&format!("U|seal={weak_header}|verifier={{V}}|"), ErrorCode::BadRequest),
        ("U|seal={S}|cookie=42|proof={P}|", ErrorCode::BadRequest),
        ("L|42|", ErrorCode::BadRequest),
        ("I|42|", ErrorCode::BadRequest),
        ("N|", ErrorCode::BadRequest),
        ("N|two words|", ErrorCode::NameTaken),
        ("N|a.name|invite=AAAA|", ErrorCode::BadRequest),
        ("E|why|", ErrorCode::BadRequest),
    ] {
        let refused = Request::parse(&expand(frame)).expect_err(frame);
        assert_eq!(refused.code(), code, "{frame}: {refused}");
    }
}

#[test]
fn unknown_names_and_codes_are_taken_as_the_protocol_says() {
    let grown = expand("D|42|colour=blue|");
    assert_eq!(Request::parse(&grown), Ok(Request::Challenge { cookie: cookie() }));
    let later = expand("E|Something new.|code=out-of-coffee|");
    let refused = ErrorFrame { code: None, text: PeerMessage::new(b"Something new."), retry: None };
    assert_eq!(Reply::parse(&later, ReplyContext::Other), Ok(Reply::Refusal(refused)));
}

#[test]
fn each_code_is_read_back_and_has_a_sentence_of_its_own() {
    for (number, code) in ErrorCode::ALL.into_iter().enumerate() {
        assert_eq!(ErrorCode::parse(code.as_str().as_bytes()), Some(code));
        assert!(ErrorCode::ALL[..number].iter().all(|other| other.sentence() != code.sentence()));
    }
}

#[test]
fn nothing_secret_is_shown() {
    for frame in ["U|seal={S}|cookie=421234567890|proof={P}|offset=0|", "N|a.name|invite={I}|"] {
        let shown = format!("{:?}", Request::parse(&expand(frame)));
        assert!(
            !shown.contains("421234567890") && !shown.contains("3, 3") && !shown.contains("5, 5"),
            "{shown}"
        );
    }
}
