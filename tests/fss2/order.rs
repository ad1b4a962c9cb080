//! Every frame in every state: what is not its turn ends the connection with `code=protocol`, and
//! does nothing else.

use fss::chain::{ChainDigest, SEALED_CHUNK_LEN};
use fss::sealed::stored_length;
use fss::server::ServerEvent;
use fss::store::StoredFormat;
use fss::store::{Account, Entry};
use fss::wire::error_frame::ErrorFrame;
use fss::wire::reply::{Reply, Welcome};
use fss::{Machine as _, Phase, Step, Time};
use fss_test_support::scripted_peer::LIMITS;

use super::*;

type Server = ScriptedPeer<'static, ServerSession<MemoryStore>>;
type Client = ScriptedPeer<'static, Scripted>;

/// What is no frame of either side.
fn broken_frames() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("no NUL", b"II".to_vec()),
        ("no letter", b"9\0".to_vec()),
        ("unknown flag", b"Z\0".to_vec()),
        ("hello", b"H\0FSS/2\0".to_vec()),
        ("not ended", b"I\0x=y".to_vec()),
        (
            "too many arguments",
            [b"L\0".to_vec(), (0..33).flat_map(|i| format!("x{i}=\0").into_bytes()).collect()]
                .concat(),
        ),
        ("a name twice", b"L\0x=1\0x=1\0".to_vec()),
        ("positional behind named", b"L\0x=1\0y\0".to_vec()),
    ]
}

fn frames_of_a_client() -> Vec<(&'static str, Vec<u8>)> {
    let proof = proof(1, &[0; 32], &cookie());
    let name = UserName::parse(b"somebody").expect("it is a name");
    let requests = [
        ("upload", Request::Upload(new_upload())),
        (
            "resume",
            Request::Resume { header: header(), cookie: cookie(), proof: proof.clone(), offset: 0 },
        ),
        ("challenge", Request::Challenge { cookie: cookie() }),
        ("download", Request::Download { cookie: cookie(), proof, offset: 0 }),
        ("list", Request::List { after: None }),
        ("delete", Request::Delete { cookie: cookie(), proof: None }),
        ("sign up", Request::SignUp { name, invite: None }),
        ("information", Request::Information),
        ("taken", Request::Taken { offset: 0 }),
        ("data", Request::Data(b"data")),
        ("end", Request::Data(b"")),
    ];
    requests.into_iter().map(|(name, request)| (name, request.encode())).collect()
}

fn frames_of_a_server() -> Vec<(&'static str, Vec<u8>)> {
    let chain = Some(ChainDigest::from_bytes([7; 32]));
    let entry = Entry::new(cookie(), 1, 1);
    let replies = [
        (
            "welcome",
            Reply::Welcome(Welcome {
                identity: vec![1; 294],
                signature: vec![2; 256],
                limits: LIMITS,
            }),
        ),
        (
            "accepted",
            Reply::Accepted {
                cookie: cookie(),
                offset: 0,
                window: SEALED_CHUNK_LEN,
                chain: None,
                expires: None,
                keep: None,
                downloads: None,
            },
        ),
        ("received", Reply::Received { offset: 0, chain: None }),
        ("stored", Reply::Received { offset: 0, chain }),
        ("challenge", Reply::Challenge(StoredFormat::Sealed(header()))),
        ("challenge 1.0", Reply::Challenge(StoredFormat::Legacy)),
        (
            "approved",
            Reply::Approved {
                size: stored_length(100_000),
                chain: None,
                expires: None,
                legacy: false,
            },
        ),
        ("data", Reply::Data(b"data")),
        ("end", Reply::Data(b"")),
        ("entry", Reply::Entry(entry)),
        ("end of list", Reply::EndOfList { more: false }),
        ("deleted", Reply::Deleted),
        ("limits again", Reply::Information { limits: Some(LIMITS), account: None }),
        ("account", Reply::Information { limits: None, account: Some(account()) }),
    ];
    replies.into_iter().map(|(name, reply)| (name, reply.encode())).collect()
}

fn account() -> Account {
    Account::new(UserName::parse(b"somebody").expect("it is a name"), 1).with_quota(Some(10))
}

/// The last thing that was said is that the protocol was broken.
fn assert_broken<M: fss_test_support::sim_net::Served>(
    scripted: &mut ScriptedPeer<'_, M>,
    what: &str,
) {
    assert!(
        matches!(scripted.end(), Some(Err(Error::Misbehaved(_) | Error::InvalidMessage(_)))),
        "{what}: {:?}",
        scripted.end()
    );
    let last = std::iter::from_fn(|| scripted.hear_if_any()).last();
    assert_eq!(last, Some(ErrorFrame::new(ErrorCode::Protocol, None).encode()), "{what}");
}

/// Says each frame to a server in a state of its own, but those whose turn it is.
fn server_refuses_all_but(expected: &[&str], state: impl Fn(&Harness) -> Server) {
    let harness = Harness::new();
    for (name, frame) in
        frames_of_a_client().into_iter().chain(frames_of_a_server()).chain(broken_frames())
    {
        if expected.contains(&name) {
            continue;
        }
        let mut scripted = state(&harness);
        let before = scripted.events.len();
        scripted.say(&frame);
        assert_broken(&mut scripted, name);
        let proved = |event: &ServerEvent| matches!(event, ServerEvent::ClientProved(_));
        assert!(scripted.events[before..].iter().all(proved), "{name}: {:?}", scripted.events);
    }
}

/// A server's harness, in which all connections of a test are.
struct Harness {
    scenario: Scenario,
    /// With a tiny file, which is the first, and one that is longer than a window.
    store: MemoryStore,
}

impl Harness {
    fn new() -> Self {
        let store = stored(b"tiny");
        put(&store, vec![0; 9 << 20]);
        Self { scenario: Scenario::fast(), store }
    }

    fn at_rest(&self) -> Server {
        self.scenario.with_client_by_hand(self.store.clone())
    }

    fn uploading(&self) -> Server {
        let mut scripted = self.at_rest();
        scripted.ask(&Request::Upload(new_upload()));
        scripted
    }

    /// A resume of an upload that was complete.
    fn complete(&self) -> Server {
        let mut scripted = self.at_rest();
        let proof = proof(1, scripted.binding(), &cookie());
        scripted.ask(&Request::Resume {
            header: header(),
            cookie: cookie(),
            proof,
            offset: SEALED_CHUNK_LEN,
        });
        scripted
    }

    fn downloading(&self, cookie: &Cookie) -> Server {
        let mut scripted = self.at_rest();
        scripted.ask(&download_by_hand(&scripted, 1, cookie));
        scripted
    }

    /// A download of which all was sent and nothing is acknowledged.
    fn sent(&self) -> Server {
        self.downloading(&cookie())
    }

    /// A download that has come to the end of its window.
    fn sending(&self) -> Server {
        self.downloading(&Cookie::from_index(2))
    }
}

const REQUESTS: [&str; 8] =
    ["upload", "resume", "challenge", "download", "list", "delete", "sign up", "information"];

#[test]
fn a_server_at_rest_takes_requests_only() {
    server_refuses_all_but(&REQUESTS, Harness::at_rest);
}

#[test]
fn a_server_in_an_upload_takes_data_only() {
    server_refuses_all_but(&["data", "end"], Harness::uploading);
}

#[test]
fn a_server_with_a_complete_upload_takes_its_end_only() {
    server_refuses_all_but(&["data", "end"], Harness::complete);
    let mut scripted = Harness::new().complete();
    scripted.say(&Request::Data(b"more").encode());
    assert_eq!(scripted.hear_refusal().code, Some(ErrorCode::BadRequest), "§17.13");
    assert_eq!(scripted.leave(), Err(Refusal::OtherSize.into()));
}

#[test]
fn a_server_in_a_download_takes_acknowledgements_only() {
    server_refuses_all_but(&["taken"], Harness::sent);
    server_refuses_all_but(&["taken"], Harness::sending);
}

/// Says each frame to a client in a state of its own, but those whose turn it is.
fn client_refuses_all_but(expected: &[&str], state: impl Fn() -> Client) {
    for (name, frame) in
        frames_of_a_server().into_iter().chain(frames_of_a_client()).chain(broken_frames())
    {
        if expected.contains(&name) {
            continue;
        }
        let mut scripted = state();
        let before = scripted.events.len();
        scripted.say(&frame);
        assert_broken(&mut scripted, name);
        assert_eq!(scripted.events[before..], [], "{name}");
    }
}

fn asking(operation: Operation) -> Client {
    Scenario::fast().with_server_by_hand(operation, &[])
}

#[test]
fn a_client_that_has_asked_takes_the_answer_only() {
    let of = |cookie| Operation::Delete { cookie, verifier: None };
    client_refuses_all_but(&["limits again"], || asking(Operation::Information));
    // Arguments that are not known are ignored, so that the protocol can grow.
    client_refuses_all_but(&["deleted", "received", "stored", "limits again", "account"], || {
        asking(of(cookie()))
    });
    client_refuses_all_but(&["entry", "end of list"], || asking(Operation::List { after: None }));
    client_refuses_all_but(&["challenge", "challenge 1.0"], || {
        asking(Operation::Challenge { cookie: cookie() })
    });
    client_refuses_all_but(&["approved"], || asking(Operation::Download(download())));
    client_refuses_all_but(&["accepted"], || asking(Operation::Upload(upload(None))));
    let name = || UserName::parse(b"somebody").expect("it is a name");
    client_refuses_all_but(&["account"], || {
        asking(Operation::SignUp { name: name(), invite: None })
    });
}

#[test]
fn a_client_in_a_list_takes_its_rest_only() {
    client_refuses_all_but(&["entry", "end of list"], || {
        let mut scripted = asking(Operation::List { after: None });
        let entry = Entry::new(cookie(), 1, 1);
        scripted.say(&Reply::Entry(entry).encode());
        scripted
    });
}

#[test]
fn a_client_in_a_download_takes_data_only() {
    client_refuses_all_but(&["data", "end"], || {
        let mut scripted = asking(Operation::Download(download()));
        scripted.say(
            &Reply::Approved {
                size: stored_length(100_000),
                chain: None,
                expires: None,
                legacy: false,
            }
            .encode(),
        );
        scripted
    });
}

fn accepted(source: &'static [u8]) -> Client {
    let mut scripted =
        Scenario::fast().with_server_by_hand(Operation::Upload(upload(None)), source);
    scripted.say(
        &Reply::Accepted {
            cookie: cookie(),
            offset: 0,
            window: SEALED_CHUNK_LEN,
            chain: None,
            expires: None,
            keep: None,
            downloads: None,
        }
        .encode(),
    );
    scripted
}

#[test]
fn a_client_in_an_upload_takes_acknowledgements_only() {
    // More than the window: the client waits for an acknowledgement. And little: it waits for the
    // last one.
    static LONG: [u8; 200_000] = [5; 200_000];
    client_refuses_all_but(&["received"], || accepted(&LONG));
    client_refuses_all_but(&["received", "stored"], || accepted(b"tiny"));
}

/// A client sends no record before it has opened `K` (§13.9), not even to say that something else
/// came.
#[test]
fn a_client_that_hears_anything_but_who_the_server_is_says_nothing() {
    let greeted = || {
        let scenario = Scenario::fast();
        ScriptedPeer::up_to_hello(
            scenario.scripted(vec![Operation::Information]),
            scenario.server.config().clone(),
            &[],
        )
    };
    for (name, frame) in
        frames_of_a_server().into_iter().chain(frames_of_a_client()).chain(broken_frames())
    {
        if name == "welcome" {
            continue;
        }
        let mut scripted = greeted();
        scripted.say(&frame);
        assert!(
            matches!(scripted.leave(), Err(Error::Misbehaved(_) | Error::InvalidMessage(_))),
            "{name}"
        );
        assert_eq!((scripted.hear_raw(), scripted.events.len()), (vec![], 0), "{name}");
    }
    let mut scripted = greeted();
    scripted.say_raw(&[&[0, 0, 0, 18], [9; 18].as_slice()].concat());
    assert_eq!((scripted.leave(), scripted.hear_raw()), (Err(Error::RecordDoesNotOpen), vec![]));
}

/// Ten operations on one connection, with refusals between them.
#[test]
fn operations_follow_one_another_on_one_connection() {
    let outcome =
        Scenario::fast().run(store(), properties::everything(Some(4)), b"tiny", Wire::default());
    assert_eq!((outcome.client, outcome.server), (Ok(()), Ok(())));
    let kinds: Vec<_> = outcome.client_events.iter().map(kind).collect();
    let expected = [
        "key",
        "connected",
        "account",
        "upload",
        "finishing",
        "uploaded",
        "refused",
        "challenged",
        "download",
        "downloaded",
        "refused",
        "listed",
        "end of list",
        "account",
        "refused",
        "deleted",
    ];
    assert_eq!(kinds, expected);
}

fn kind(event: &ClientEvent) -> &'static str {
    match event {
        ClientEvent::ServerKey(_) => "key",
        ClientEvent::Connected(_) => "connected",
        ClientEvent::UploadStarted { .. } => "upload",
        ClientEvent::Finishing { .. } => "finishing",
        ClientEvent::Uploaded { .. } => "uploaded",
        ClientEvent::Challenged(_) => "challenged",
        ClientEvent::DownloadStarted { .. } => "download",
        ClientEvent::Downloaded { .. } => "downloaded",
        ClientEvent::Listed(_) => "listed",
        ClientEvent::EndOfList { .. } => "end of list",
        ClientEvent::Deleted => "deleted",
        ClientEvent::Account { .. } => "account",
        ClientEvent::Refused(_) => "refused",
        _ => "other",
    }
}

/// A client that sends the next request before the last frame of the operation before is served in
/// order all the same.
#[test]
fn two_requests_at_once_are_answered_one_after_the_other() {
    let mut scripted = Harness::new().at_rest();
    let both = [
        scripted.sealed(&Request::List { after: None }.encode()),
        scripted.sealed(&Request::Information.encode()),
    ]
    .concat();
    scripted.say_raw(&both);
    let frames: Vec<_> =
        std::iter::from_fn(|| scripted.hear_if_any()).map(|frame| frame[..4].to_vec()).collect();
    assert_eq!(frames, [b"R\x001\0", b"R\x002\0", b"R\0EN", b"R\0OK"]);
}

/// The end of the stream is clean between operations (§14.7), for a client without further ones.
#[test]
fn a_server_that_goes_after_the_last_answer_is_no_error_for_who_has_finished() {
    for has_finished in [true, false] {
        let mut scripted = asking(Operation::Information);
        if has_finished {
            scripted.machine.client.finish();
        }
        let answer =
            scripted.sealed(&Reply::Information { limits: Some(LIMITS), account: None }.encode());
        let client = &mut scripted.machine.client;
        client.buffers().0[..answer.len()].copy_from_slice(&answer);
        client.received(answer.len());
        client.received(0);
        assert!(matches!(client.poll(Time::ZERO), Ok(Step::Event(ClientEvent::Account { .. }))));
        assert_eq!(
            scripted.leave(),
            if has_finished { Ok(()) } else { Err(Error::Disconnected(Phase::Rest)) }
        );
    }
}

/// What is sent in one piece with the end of a file is the next request.
#[test]
fn a_request_may_follow_the_last_acknowledgement_at_once() {
    let mut scripted = Harness::new().sent();
    let plaintext = metadata().encode().expect("it is short").len() + b"tiny".len();
    let end = Request::Taken { offset: stored_length(plaintext as u64) };
    let both = [scripted.sealed(&end.encode()), scripted.sealed(&Request::Information.encode())];
    scripted.say_raw(&both.concat());
    assert!(
        std::iter::from_fn(|| scripted.hear_if_any())
            .last()
            .is_some_and(|frame| frame.starts_with(b"R\0OK\0largest"))
    );
}
