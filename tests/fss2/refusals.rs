//! Every code of a refusal, and what it ends: a request, or the connection.

use std::time::Duration;

use fss::server::{PasswordThrottle, ServerEvent};
use fss::store::{Invite, StoreErrorKind};
use fss::wire::error_frame::ErrorFrame;
use fss::wire::reply::{Reply, ReplyContext};
use fss_test_support::fault_store::FaultStore;

use super::*;

fn invite() -> Invite {
    Invite::from_bytes([6; 32])
}

fn sign_up(name: &[u8], invite: Option<Invite>) -> Request<'static> {
    Request::SignUp { name: UserName::parse(name).expect("it is a name"), invite }
}

/// Asks for something that is refused, then for something that is not.
fn refused<S: Store>(
    scripted: &mut ScriptedPeer<'_, ServerSession<S>>,
    request: &[u8],
) -> ErrorFrame {
    scripted.say(request);
    let refused = scripted.hear_refusal();
    assert!(
        matches!(scripted.events.last(), Some(ServerEvent::Refused { .. })),
        "{:?}",
        scripted.events
    );
    let answer = scripted.ask(&Request::Information);
    assert!(
        matches!(Reply::parse(&answer, ReplyContext::Information), Ok(Reply::Information { .. })),
        "the connection goes on"
    );
    refused
}

/// What a store refuses a request for, each with its code.
const STORE_ERRORS: [(StoreErrorKind, ErrorCode); 11] = [
    (StoreErrorKind::Full, ErrorCode::NoRoom),
    (StoreErrorKind::Quota, ErrorCode::Quota),
    (StoreErrorKind::NotAMember, ErrorCode::NotAMember),
    (StoreErrorKind::NameTaken, ErrorCode::NameTaken),
    (StoreErrorKind::BadInvite, ErrorCode::BadInvite),
    (StoreErrorKind::TooManyUploads, ErrorCode::TooManyUploads),
    (StoreErrorKind::Busy, ErrorCode::Busy),
    (StoreErrorKind::Exists, ErrorCode::Storage),
    (StoreErrorKind::Damaged, ErrorCode::Storage),
    (StoreErrorKind::Unavailable, ErrorCode::Storage),
    (StoreErrorKind::Misuse, ErrorCode::Storage),
];

#[test]
fn what_a_store_refuses_ends_the_request_and_not_the_connection() {
    let scenario = Scenario::fast();
    for (kind, code) in STORE_ERRORS {
        for request in [
            Request::Upload(new_upload()),
            Request::List { after: None },
            Request::Challenge { cookie: cookie() },
        ] {
            let mut scripted =
                scenario.with_client_by_hand(FaultStore::failing_with(store(), 0, kind));
            let answer = refused(&mut scripted, &request.encode());
            let retry = (code == ErrorCode::Busy).then_some(1);
            assert_eq!((answer.code, answer.retry), (Some(code), retry), "{kind:?}");
            assert_eq!(scripted.leave(), Ok(()));
        }
    }
}

/// Frames of the operation may be on their way, so it is the connection that ends (§20.2).
#[test]
fn what_a_store_refuses_in_an_upload_ends_the_connection() {
    let errors =
        STORE_ERRORS.into_iter().chain([(StoreErrorKind::Superseded, ErrorCode::Superseded)]);
    for (kind, expected) in errors {
        for step in 1..3 {
            let memory = store();
            let outcome = Scenario::fast().upload(
                FaultStore::failing_with(memory.clone(), step, kind),
                b"tiny",
                Wire::default(),
            );
            assert_eq!(code(outcome.client), Some(expected), "{kind:?} at {step}");
            assert!(matches!(outcome.server, Err(Error::Store(error)) if error.kind() == kind));
            assert!(memory.is_empty(), "nothing is stored");
        }
    }
}

#[test]
fn what_a_store_refuses_in_a_download_ends_the_connection() {
    let memory = stored(b"tiny");
    // The claim comes before the approval, so it still is the answer to the request.
    for (step, is_answer) in [(0, true), (1, true), (2, false)] {
        let store = FaultStore::failing_with(memory.clone(), step, StoreErrorKind::Unavailable);
        let operations = vec![Operation::Download(download()), Operation::Information];
        let outcome = Scenario::fast().run(&store, operations, &[], Wire::default());
        let refused = ErrorFrame::new(ErrorCode::Storage, None);
        assert_eq!(
            outcome.client_events.contains(&ClientEvent::Refused(refused.clone())),
            is_answer,
            "{step}"
        );
        assert_eq!(
            outcome.client,
            if is_answer { Ok(()) } else { Err(Error::PeerRefused(refused)) },
            "{step}"
        );
        assert_eq!(memory.len(), 1);
    }
}

/// The client has its file; the server could not note it, and keeps the file.
#[test]
fn what_a_store_refuses_after_a_download_is_the_servers_trouble() {
    let memory = stored(b"tiny");
    let store = FaultStore::failing_with(memory.clone(), 3, StoreErrorKind::Unavailable);
    let outcome = Scenario::fast().download(&store, Wire::default());
    assert_eq!(store.asked(), ["open", "claim", "read", "delivered"]);
    assert_eq!((outcome.client, outcome.file.as_slice()), (Ok(()), b"tiny".as_slice()));
    assert!(matches!(outcome.server, Err(Error::Store(_))));
    assert!(
        !outcome.server_events.iter().any(|event| matches!(event, ServerEvent::Delivered { .. }))
    );
    assert_eq!(memory.len(), 1);
}

/// What is no request of its section is answered so, and changes nothing (§15.5).
#[test]
fn requests_with_wrong_arguments_are_bad_requests() {
    let seal = fss::wire::frame::to_base64(&header().to_bytes());
    let weak = {
        let mut bytes = header().to_bytes();
        bytes[6] = 15;
        fss::wire::frame::to_base64(&bytes)
    };
    let verifier = fss::wire::frame::to_base64(key(1).verifier().as_bytes());
    let mut scripted = Scenario::fast().with_client_by_hand(store());
    for text in [
        "U|".into(),
        format!("U|seal={seal}|"),
        format!("U|verifier={verifier}|"),
        format!("U|seal={weak}|verifier={verifier}|"),
        format!("U|seal={seal}|verifier=AAAA|"),
        format!("U|seal={seal}|verifier={verifier}|size=01|"),
        format!("U|seal={seal}|verifier={verifier}|size=-1|"),
        format!("U|seal={seal}|verifier={verifier}|size=9223372036854775808|"),
        format!("U|seal={seal}|verifier={verifier}|keep=0|"),
        format!("U|seal={seal}|verifier={verifier}|downloads=0|"),
        format!("U|more|seal={seal}|verifier={verifier}|"),
        format!("U|seal={seal}|cookie=1|offset=0|"),
        format!("U|seal={seal}|cookie=1|proof={verifier}|"),
        format!("U|seal={seal}|cookie=../1|proof={verifier}|offset=0|"),
        "D|".into(),
        "D||".into(),
        "D|F-1|".into(),
        "D|1|2|".into(),
        format!("D|{}|", "1".repeat(49)),
        "D|1|proof=AAAA|".into(),
        "D|OK|".into(),
        "L|1|".into(),
        "L|after=|".into(),
        "X|".into(),
        "X|1|proof=|".into(),
        "N|".into(),
        "N|name|invite=AAAA|".into(),
        "I|1|".into(),
    ] {
        let refused = refused(&mut scripted, text.replace('|', "\0").as_bytes());
        assert_eq!(refused, ErrorFrame::new(ErrorCode::BadRequest, None), "{text}");
    }
    assert_eq!(scripted.leave(), Ok(()));
}

#[test]
fn arguments_that_are_not_known_are_ignored() {
    let mut scripted = Scenario::fast().with_client_by_hand(store());
    for frame in [b"I\0colour=blue\0x=\0".as_slice(), b"L\0colour=blue\0", b"D\x001\0colour=blue\0"]
    {
        scripted.say(frame);
        assert!(!scripted.hear().starts_with(b"E"), "{}", frame.escape_ascii());
    }
}

#[test]
fn names_and_invites_have_their_codes() {
    let scenario = Scenario::fast();
    let store = store();
    let mut owner = scenario.with_client_by_hand(&store);
    assert_eq!(
        owner.ask(&sign_up(b"somebody", None)),
        b"R\0OK\0name=somebody\0quota=9223372036854775807\0used=0\0"
    );
    assert_eq!(
        owner.ask(&sign_up(b"other", None))[..18],
        *b"R\0OK\0name=somebody",
        "a key has one name"
    );
    let mut stranger = Scenario::of_stranger().with_client_by_hand(&store);
    assert_eq!(
        refused(&mut stranger, &sign_up(b"somebody", None).encode()).code,
        Some(ErrorCode::NameTaken)
    );
    for name in ["", "two words", "../x", &"n".repeat(65)] {
        let frame = format!("N\0{name}\0");
        assert_eq!(
            refused(&mut stranger, frame.as_bytes()).code,
            Some(ErrorCode::NameTaken),
            "{name}"
        );
    }
    assert_eq!(
        refused(&mut stranger, &sign_up(b"other", Some(invite())).encode()).code,
        Some(ErrorCode::BadInvite)
    );
}

#[test]
fn a_size_above_the_largest_file_is_too_large() {
    let mut limits = fss::Limits::default();
    limits.largest_file = 1000;
    let mut scenario = Scenario::fast();
    scenario.server = scenario.server.with_limits(limits);
    let mut scripted = scenario.with_client_by_hand(store());
    let sized = |size| Request::Upload(new_upload().with_size(Some(size)));
    assert_eq!(refused(&mut scripted, &sized(1001).encode()).code, Some(ErrorCode::TooLarge));
    assert!(scripted.ask(&sized(1000)).starts_with(b"R\0"));
}

#[test]
fn a_delay_is_told_with_how_long_it_takes() {
    let mut scenario = Scenario::of_stranger();
    scenario.server =
        scenario.server.with_throttle(Arc::new(PasswordThrottle::new(Clock::default())));
    let mut scripted = scenario.with_client_by_hand(store());
    for _ in 0..4 {
        assert_eq!(refused(&mut scripted, b"X\x009\0"), ErrorFrame::new(ErrorCode::Refused, None));
    }
    assert_eq!(
        refused(&mut scripted, b"X\x009\0"),
        ErrorFrame::new(ErrorCode::TooManyAttempts, Some(1))
    );
}

/// A client that sends nothing for too long is told so, idle or in an operation, as is a server
/// that is silent.
#[test]
fn silence_ends_the_connection() {
    let (scenario, minute) = (Scenario::fast(), Duration::from_secs(60));
    let idle = ErrorFrame::new(ErrorCode::Idle, None);
    for request in [None, Some(Request::Upload(new_upload()))] {
        let mut scripted = scenario.with_client_by_hand(store());
        if let Some(request) = &request {
            scripted.ask(request);
        }
        scripted.let_pass(minute);
        assert_eq!(scripted.hear_refusal(), idle);
        assert!(matches!(scripted.end(), Some(Err(Error::TimedOut(_)))));
    }
    let mut client = scenario.with_server_by_hand(Operation::Information, &[]);
    client.hear();
    client.let_pass(minute);
    assert_eq!(client.hear(), Request::Refusal(idle).encode());
    assert!(matches!(client.end(), Some(Err(Error::TimedOut(_)))));
}

/// Bytes that complete no record are no sign of life.
#[test]
fn a_client_that_dribbles_is_no_better_off_than_a_silent_one() {
    let mut scripted = Scenario::fast().with_client_by_hand(store());
    let record = scripted.sealed(&Request::Data(&[0; 1000]).encode());
    for byte in record.iter().take(60) {
        assert_eq!(scripted.end(), None);
        scripted.let_pass(Duration::from_secs(1));
        scripted.say_raw(&[*byte]);
    }
    assert_eq!(scripted.hear_refusal().code, Some(ErrorCode::Idle));
}

/// An `E` is never answered, ends the connection, and is reported with its code and its words made
/// printable.
#[test]
fn who_is_refused_says_nothing_more() {
    let scenario = Scenario::fast();
    for code in ErrorCode::ALL {
        let frame = ErrorFrame::new(code, Some(3)).encode();
        for request in [None, Some(Request::Upload(new_upload()))] {
            let mut server = scenario.with_client_by_hand(store());
            if let Some(request) = &request {
                server.ask(request);
            }
            server.say(&frame);
            assert_eq!(super::code(server.leave()), Some(code));
            assert_eq!(server.hear_raw(), b"", "{code:?}");
        }
        // A client has asked: only some codes end more than that. It then finishes.
        let mut client = scenario.with_server_by_hand(Operation::Information, &[]);
        client.hear();
        client.say(&frame);
        let expected = ErrorFrame::new(code, Some(3));
        let end =
            if code.ends_connection() { Err(Error::PeerRefused(expected.clone())) } else { Ok(()) };
        assert_eq!(client.leave(), end, "{code:?}");
        assert_eq!(
            client.events.contains(&ClientEvent::Refused(expected)),
            !code.ends_connection()
        );
        assert_eq!(client.hear_raw(), b"", "{code:?}");
    }
}

/// A code that is not known ends the connection like `protocol`, and what comes with it is not
/// believed to be harmless.
#[test]
fn unknown_codes_end_the_connection() {
    let mut client = Scenario::fast().with_server_by_hand(Operation::Information, &[]);
    client.say(b"E\0\x1b[2J\xff\0code=tea-break\0");
    let Err(Error::PeerRefused(refused)) = client.leave() else { panic!("{:?}", client.end()) };
    assert_eq!((refused.code, refused.text.as_str()), (None, "\u{fffd}[2J\u{fffd}"));
}

/// There is no request, and the server announces that it closes.
#[test]
fn a_server_may_refuse_at_any_time() {
    for code in [ErrorCode::Idle, ErrorCode::Busy, ErrorCode::Protocol] {
        let scenario = Scenario::fast();
        let mut client = ScriptedPeer::up_to_hello(
            scenario.scripted(vec![]),
            scenario.server.config().clone(),
            &[],
        );
        client.say(&ErrorFrame::new(code, None).encode());
        assert_eq!(super::code(client.leave()), Some(code));
        assert_eq!(client.hear_raw(), b"");
    }
}

/// Whatever goes wrong on the client's side, the server receives an error, and stores
/// nothing.
#[test]
fn a_client_that_gives_up_tells_the_server() {
    for (error, code) in [
        (Error::Crypto, ErrorCode::Storage),
        (fss::ApiMisuse::SuppliedTooLittle.into(), ErrorCode::Storage),
        (fss::Integrity::Format.into(), ErrorCode::Protocol),
    ] {
        let mut scripted = Scenario::fast().with_server_by_hand(Operation::Information, &[]);
        scripted.hear();
        scripted.machine.client.abort(error.clone());
        assert_eq!(scripted.leave(), Err(error));
        assert_eq!(scripted.hear(), Request::Refusal(ErrorFrame::new(code, None)).encode());
    }
}
