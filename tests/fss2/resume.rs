//! Interrupted uploads and downloads resume, from what both sides have noted and from nothing
//! else (§17.10 to §17.16).

use fss::Integrity;
use fss::chain::{CHECKPOINT, Chain, ChainDigest, SEALED_CHUNK_LEN};
use fss::client::{Received, Resume};
use fss::sealed::{CHUNK, stored_length};
use fss::store::LEASE;
use fss::wire::reply::{Reply, ReplyContext};

use super::*;

/// What a client has noted of an upload.
type Noted = Vec<(u64, ChainDigest)>;

fn noted(events: &[ClientEvent]) -> Noted {
    let note = |event: &ClientEvent| match *event {
        ClientEvent::Checkpoint { offset, chain } | ClientEvent::Finishing { offset, chain } => {
            Some((offset, chain))
        }
        _ => None,
    };
    events.iter().filter_map(note).collect()
}

/// Where in the content a piece begins.
fn content_at(pieces: u64) -> usize {
    let metadata = metadata().encode().expect("it is short").len();
    (usize::try_from(pieces).expect("it is small") * CHUNK).saturating_sub(metadata)
}

/// An upload that was interrupted when the server had received this many bytes.
struct Broken {
    scenario: Scenario,
    store: MemoryStore,
    content: Vec<u8>,
    size: Option<usize>,
    noted: Noted,
}

impl Broken {
    fn cut(size: usize, is_known: bool, wire: Wire) -> Self {
        let (scenario, store, content) = (Scenario::fast(), store(), file(size));
        let size = is_known.then_some(size);
        let outcome = scenario.run(&store, vec![Operation::Upload(upload(size))], &content, wire);
        assert!(outcome.client.is_err(), "it broke off");
        Self { scenario, store, content, size, noted: noted(&outcome.client_events) }
    }

    /// Cut off on the way to the server.
    fn after(size: usize, bytes: usize) -> Self {
        Self::cut(size, true, Wire { to_server: Some(bytes), ..Wire::default() })
    }

    /// All has come, and the last acknowledgement is lost.
    fn unacknowledged(size: usize, is_known: bool) -> Self {
        let operation = Operation::Upload(upload(is_known.then_some(size)));
        let whole = Scenario::fast().run(store(), vec![operation], &file(size), Wire::default());
        Self::cut(
            size,
            is_known,
            Wire { to_client: Some(whole.from_server.len() - 1), ..Wire::default() },
        )
    }

    /// Resumes from what was noted; the source is read from `position` on.
    fn resume_with(&self, noted: Noted, position: usize) -> Outcome<ClientEvent> {
        // Another seed, as another run of a program has: nonces are never used again.
        let scenario = Scenario {
            seed: 50,
            server: self.scenario.server.clone(),
            client: self.scenario.client.clone(),
        };
        let resume = Resume { upload: upload(self.size), cookie: cookie(), noted };
        scenario.run(
            &self.store,
            vec![Operation::Resume(resume), Operation::Information],
            &self.content[position..],
            Wire::default(),
        )
    }

    /// Resumes and completes the upload; the position is the expected one.
    fn resume(&self, noted: Noted, position: usize) {
        let outcome = self.resume_with(noted, position);
        let goes_on_there = |event: &ClientEvent| matches!(event, ClientEvent::UploadStarted { position: there, .. } if *there == position as u64);
        assert!(
            outcome.client_events.iter().any(goes_on_there),
            "{position}: {:?}",
            outcome.client_events
        );
        assert_eq!((outcome.client, outcome.server), (Ok(()), Ok(())));
        assert!(
            outcome.client_events.iter().any(|event| matches!(event, ClientEvent::Uploaded { .. }))
        );
        self.assert_whole();
    }

    fn assert_whole(&self) {
        assert_eq!((self.store.len(), self.store.pending()), (1, 0));
        let down = self.scenario.download(&self.store, Wire::default());
        assert_eq!((down.client, down.server), (Ok(()), Ok(())));
        assert!(down.file == self.content);
    }
}

/// Two checkpoints and a rest.
const SIZE: usize = 40 << 20;

/// Interrupted anywhere: the upload resumes at the last checkpoint that both sides have.
#[test]
fn an_upload_goes_on_at_the_last_checkpoint() {
    for (cut, checkpoint) in [(1 << 20, 0), (16_700_000, 0), (17 << 20, 1), (39 << 20, 2)] {
        let broken = Broken::after(SIZE, cut);
        assert!(broken.noted.len() >= checkpoint, "{cut}");
        broken.resume(broken.noted.clone(), content_at(checkpoint as u64 * 256));
    }
}

/// The client may have noted fewer checkpoints than the server keeps.
#[test]
fn an_upload_goes_on_at_a_checkpoint_before_the_last() {
    let broken = Broken::after(SIZE, 39 << 20);
    broken.resume(broken.noted[..1].to_vec(), content_at(256));
    let broken = Broken::after(SIZE, 39 << 20);
    broken.resume(vec![], 0);
}

/// Interrupted repeatedly, each time further on.
#[test]
fn an_upload_goes_on_more_than_once() {
    let broken = Broken::after(SIZE, 17 << 20);
    let mut noted = broken.noted.clone();
    let resume = Resume { upload: upload(broken.size), cookie: cookie(), noted: noted.clone() };
    let wire = Wire { to_server: Some(18 << 20), ..Wire::default() };
    let source = &broken.content[content_at(256)..];
    let again = Scenario { seed: 30, ..Scenario::fast() }.run(
        &broken.store,
        vec![Operation::Resume(resume)],
        source,
        wire,
    );
    assert!(again.client.is_err());
    noted.extend(self::noted(&again.client_events));
    // What it has noted last has not come to the server.
    assert!(noted.last().is_some_and(|(offset, _)| *offset > 2 * CHECKPOINT));
    broken.resume(noted, content_at(512));
}

/// A file that ends exactly at a checkpoint, interrupted before its end was sent.
#[test]
fn a_file_that_ends_at_a_checkpoint_goes_on_to_its_end() {
    let size = content_at(256);
    for is_known in [true, false] {
        let operation = Operation::Upload(upload(is_known.then_some(size)));
        let whole = Scenario::fast().run(store(), vec![operation], &file(size), Wire::default());
        let broken = Broken::cut(
            size,
            is_known,
            Wire { to_server: Some(whole.from_client.len() - 1), ..Wire::default() },
        );
        assert_eq!(
            broken.noted.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(),
            [CHECKPOINT; 2]
        );
        broken.resume(broken.noted.clone(), size);
    }
}

/// A lost acknowledgement must not lose the file (§17.13): the end is sent once more, and nothing
/// else is sent.
#[test]
fn a_complete_upload_is_acknowledged_once_more() {
    for size in [0, 4, content_at(1), content_at(1) + 1, content_at(4), 300_000] {
        for is_known in [true, false] {
            let broken = Broken::unacknowledged(size, is_known);
            let sealed = sealed_bytes(&broken.store);
            broken.resume(broken.noted.clone(), size);
            assert!(sealed_bytes(&broken.store) == sealed, "{size}: nothing is changed");
            broken.resume(broken.noted.clone(), size);
        }
    }
}

/// A complete upload whose end was not noted could be anything: it is not taken for ours.
#[test]
fn a_complete_upload_that_was_not_noted_is_an_integrity_error() {
    let broken = Broken::unacknowledged(4, true);
    assert_eq!(broken.resume_with(vec![], 0).client, Err(Integrity::Chain.into()));
    broken.assert_whole();
}

#[test]
fn a_noted_chain_that_is_not_the_servers_is_an_integrity_error() {
    let broken = Broken::after(SIZE, 17 << 20);
    let wrong = vec![(CHECKPOINT, ChainDigest::from_bytes([7; 32]))];
    assert_eq!(broken.resume_with(wrong, 0).client, Err(Integrity::Chain.into()));
    assert_eq!(
        (broken.store.len(), broken.store.pending()),
        (0, 1),
        "it can still be resumed by who noted it rightly"
    );
    broken.resume(broken.noted.clone(), content_at(256));
}

/// The source has changed: what is there is not its beginning.
#[test]
fn a_resume_of_fewer_bytes_than_there_are_is_a_mistake_of_the_callers() {
    let mut broken = Broken::after(SIZE, 17 << 20);
    broken.size = Some(1000);
    let outcome = broken.resume_with(broken.noted.clone(), 0);
    assert!(matches!(outcome.client, Err(Error::Misuse(_))), "{:?}", outcome.client);
    assert_eq!((broken.store.len(), broken.store.pending()), (0, 1));
}

/// Anyone with the password may resume, not only the uploader (§17.10 has no owner).
#[test]
fn a_resume_needs_the_password_and_not_the_key() {
    let mut broken = Broken::after(300_000, 100_000);
    broken.scenario.client = Scenario::of_stranger().client;
    broken.resume(vec![], 0);
    let mut owner = Scenario::fast().with_client_by_hand(&broken.store);
    assert!(
        owner.ask(&Request::List { after: None }).starts_with(b"R\x001\0"),
        "who began it owns it"
    );
}

type Server = ScriptedPeer<'static, ServerSession<MemoryStore>>;

fn resume_by_hand(scripted: &mut Server, offset: u64) -> Vec<u8> {
    let proof = proof(1, scripted.binding(), &cookie());
    scripted.ask(&Request::Resume { header: header(), cookie: cookie(), proof, offset })
}

/// An upload that one connection has begun and another one resumes.
fn superseded() -> (Server, Server, MemoryStore) {
    let (scenario, store) = (Scenario::fast(), store());
    let [mut old, mut new] = [(); 2].map(|()| scenario.with_client_by_hand(store.clone()));
    old.ask(&Request::Upload(new_upload()));
    old.say(&Request::Data(&[b'o'; 5000]).encode());
    let answer = resume_by_hand(&mut new, 0);
    assert!(matches!(
        Reply::parse(&answer, ReplyContext::Upload),
        Ok(Reply::Accepted { offset: 0, chain: None, .. })
    ));
    (old, new, store)
}

/// Nothing that the older connection sends later reaches the file (§17.12).
#[test]
fn a_resume_takes_over() {
    for frame in [b"more".as_slice(), b""] {
        let (mut old, mut new, store) = superseded();
        new.say(&Request::Data(&[b'n'; 5000]).encode());
        old.say(&Request::Data(frame).encode());
        assert_eq!(old.hear_refusal().code, Some(ErrorCode::Superseded));
        assert!(old.leave().is_err());
        drop(old);
        assert_eq!((store.len(), store.pending()), (0, 1));
        new.say(&Request::Data(b"new").encode());
        let end = new.ask(&Request::Data(b""));
        assert!(matches!(
            Reply::parse(&end, ReplyContext::Upload),
            Ok(Reply::Received { offset: 5003, chain: Some(_) })
        ));
        assert_eq!(sealed_bytes(&store), [&[b'n'; 5000][..], b"new"].concat());
    }
}

#[test]
fn who_was_taken_over_hears_so_even_when_the_file_is_complete() {
    let (mut old, mut new, store) = superseded();
    new.ask(&Request::Data(b""));
    old.say(&Request::Data(b"").encode());
    assert_eq!(old.hear_refusal().code, Some(ErrorCode::Superseded));
    assert_eq!(sealed_bytes(&store), b"");
}

/// A client that resumes on the connection that has the upload takes over from itself.
#[test]
fn a_resume_takes_over_from_its_own_past() {
    let (old, new, store) = superseded();
    drop((old, new));
    let mut scripted = Scenario::fast().with_client_by_hand(store.clone());
    resume_by_hand(&mut scripted, 0);
    scripted.say(&Request::Data(b"whole").encode());
    scripted.ask(&Request::Data(b""));
    resume_by_hand(&mut scripted, 5);
    scripted.say(&Request::Data(b"more").encode());
    assert_eq!(
        scripted.hear_refusal().code,
        Some(ErrorCode::BadRequest),
        "data behind what is complete"
    );
    assert_eq!(sealed_bytes(&store), b"whole");
}

/// A store with a clock, and an upload begun in it.
fn begun() -> (MemoryStore, Clock) {
    let clock = Clock::default();
    let store = MemoryStore::with_clock(SequentialCookies, Retention::Forever, clock.clone());
    let mut scripted = Scenario::fast().with_client_by_hand(store.clone());
    scripted.ask(&Request::Upload(new_upload()));
    (store, clock)
}

#[test]
fn an_upload_is_forgotten_when_its_lease_ends_and_a_resume_renews_it() {
    let (store, clock) = begun();
    for _ in 0..3 {
        clock.advance(LEASE.as_secs() - 1);
        let mut scripted = Scenario::fast().with_client_by_hand(store.clone());
        assert!(resume_by_hand(&mut scripted, 0).starts_with(b"R\0"));
    }
    clock.advance(LEASE.as_secs());
    let mut scripted = Scenario::fast().with_client_by_hand(store.clone());
    assert_eq!(
        resume_by_hand(&mut scripted, 0),
        fss::wire::error_frame::ErrorFrame::new(ErrorCode::Refused, None).encode()
    );
    assert_eq!(store.pending(), 0);
}

/// What a download leaves that was interrupted after this many pieces.
fn earlier(store: &MemoryStore, pieces: u64) -> Option<Received> {
    let mut chain = Chain::new(&header().to_bytes());
    let length = usize::try_from(pieces * SEALED_CHUNK_LEN).expect("it is small");
    chain.update(&sealed_bytes(store)[..length]);
    (pieces > 0).then(|| Received {
        offset: chain.position(),
        chain: chain.digest(),
        metadata: metadata(),
    })
}

/// A client that has whole chunks of a file asks for the rest.
#[test]
fn a_download_goes_on_after_the_chunks_that_are_there() {
    for size in [content_at(4), content_at(4) + 100] {
        let (scenario, content) = (Scenario::fast(), file(size));
        let store = stored(&content);
        let pieces = (sealed_bytes(&store).len() as u64 - 1) / SEALED_CHUNK_LEN;
        for chunks in 0..=pieces {
            let rest = Download { earlier: earlier(&store, chunks), ..download() };
            let outcome =
                scenario.run(&store, vec![Operation::Download(rest)], &[], Wire::default());
            assert_eq!((outcome.client, outcome.server), (Ok(()), Ok(())), "{chunks}");
            assert!(outcome.file == content[content_at(chunks)..], "{chunks}");
            let whole = Some(content.len() as u64);
            let started = ClientEvent::DownloadStarted {
                metadata: Some(metadata()),
                size: whole,
                expires: None,
            };
            assert!(outcome.client_events.contains(&started), "{chunks}");
            let size = outcome.file.len() as u64;
            assert_eq!(
                outcome.client_events.last(),
                Some(&ClientEvent::Downloaded { size, guessed: false })
            );
        }
    }
}

/// However a download is interrupted, what was returned and the rest are the file.
#[test]
fn a_download_that_broke_off_goes_on() {
    let (scenario, content) = (Scenario::fast(), file(1_000_000));
    let store = stored(&content);
    for cut in [100_000, 300_000, 700_000, 1_000_000] {
        let first = scenario.download(&store, Wire { to_client: Some(cut), ..Wire::default() });
        assert!(first.client.is_err());
        let metadata = metadata().encode().expect("it is short").len();
        let chunks = ((first.file.len() + metadata) / CHUNK) as u64;
        let rest = Download { earlier: earlier(&store, chunks), ..download() };
        let second = scenario.run(&store, vec![Operation::Download(rest)], &[], Wire::default());
        assert_eq!(second.client, Ok(()));
        assert!([&first.file[..content_at(chunks)], &second.file].concat() == content, "{cut}");
    }
}

/// The chain that is known from the upload is compared even when the download is resumed.
#[test]
fn a_download_that_goes_on_is_of_the_same_file() {
    let store = stored(&file(200_000));
    let other = Some(ChainDigest::from_bytes([7; 32]));
    let operation =
        Operation::Download(Download { earlier: earlier(&store, 1), chain: other, ..download() });
    assert_eq!(
        Scenario::fast().run(&store, vec![operation], &[], Wire::default()).client,
        Err(Integrity::Chain.into())
    );
}

/// Every 256 pieces, with all before them handed out; and never where the file ends, for no chunk
/// would show that.
#[test]
fn a_download_reports_checkpoints_that_a_chunk_follows() {
    for (size, checkpoints) in
        [(content_at(256), 0), (content_at(256) + 1, 1), (content_at(512), 1), (content_at(513), 2)]
    {
        let store = stored(&file(size));
        let outcome = Scenario::fast().download(&store, Wire::default());
        let noted = noted(&outcome.client_events);
        assert_eq!((outcome.client, noted.len()), (Ok(()), checkpoints), "{size}");
        for (number, (offset, chain)) in (1..).zip(noted) {
            let earlier = earlier(&store, number * 256).expect("it is behind the start");
            assert_eq!((offset, chain), (earlier.offset, earlier.chain), "{size}");
        }
    }
}

/// When a checkpoint is reported, exactly what is before it was handed out: that is what is made
/// durable and noted.
#[test]
fn a_checkpoint_of_a_download_speaks_of_what_was_handed_out() {
    let content = file(content_at(300));
    let (scenario, store) = (Scenario::fast(), stored(&content));
    let whole = scenario.download(&store, Wire::default()).from_server.len();
    for cut in [whole * 256 / 300, whole * 257 / 300, whole - 1] {
        let broken = scenario.download(&store, Wire { to_client: Some(cut), ..Wire::default() });
        let Some((offset, chain)) = noted(&broken.client_events).pop() else { continue };
        let earlier = Received { offset, chain, metadata: metadata() };
        let rest = Download { earlier: Some(earlier), ..download() };
        let rest = scenario.run(&store, vec![Operation::Download(rest)], &[], Wire::default());
        assert_eq!(rest.client, Ok(()));
        assert!([&broken.file[..content_at(256)], &rest.file].concat() == content, "{cut}");
    }
}

/// Where a checkpoint is: every 256 pieces of a file of any length.
#[test]
fn checkpoints_are_noted_at_every_256_pieces() {
    let size = content_at(512) + 1;
    let outcome = Scenario::fast().upload(store(), &file(size), Wire::default());
    let offsets: Vec<u64> =
        noted(&outcome.client_events).into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, [CHECKPOINT, 2 * CHECKPOINT, stored_length(512 * CHUNK as u64 + 1)]);
}
