//! Servers that lie: a client fails cleanly, claims no success, and sends nothing that a password
//! could be guessed from.

use fss::Integrity;
use fss::chain::{Chain, ChainDigest, SEALED_CHUNK_LEN};
use fss::client::{Received, Resume};
use fss::sealed::{CHUNK, MAX_SEALED_CHUNK, stored_length};
use fss::store::StoredFormat;
use fss::store::{Entry, LISTED_AT_ONCE};
use fss::wire::error_frame::ErrorFrame;
use fss::wire::frame::{MAX_NUMBER, write};
use fss::wire::message::InvalidMessage;
use fss::wire::record::MAX_PLAINTEXT;
use fss::wire::reply::Reply;

use super::*;

type Client<'a> = ScriptedPeer<'a, Scripted>;

fn frames_said(scripted: &mut Client<'_>) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| scripted.hear_if_any()).collect()
}

fn broken() -> Vec<u8> {
    ErrorFrame::new(ErrorCode::Protocol, None).encode()
}

/// Downloads.
mod downloads {
    use super::*;

    /// What a server tells of a file, and then sends of it.
    struct Lie {
        size: u64,
        chain: Option<ChainDigest>,
        parts: Vec<Vec<u8>>,
    }

    impl Lie {
        /// Says truly how long it is.
        fn of(parts: Vec<Vec<u8>>) -> Self {
            Self { size: parts.concat().len() as u64, chain: None, parts }
        }

        /// Says another size.
        fn sized(size: u64, parts: Vec<Vec<u8>>) -> Self {
            Self { size, ..Self::of(parts) }
        }

        fn told_to(self, download: Download) -> Lied {
            let mut scripted =
                Scenario::fast().with_server_by_hand(Operation::Download(download), &[]);
            let request = scripted.hear();
            assert!(request.starts_with(b"D\x001\0proof="));
            scripted.say(
                &Reply::Approved {
                    size: self.size,
                    chain: self.chain,
                    expires: None,
                    legacy: false,
                }
                .encode(),
            );
            self.parts.iter().for_each(|part| scripted.say(&Reply::Data(part).encode()));
            scripted.say(&Reply::Data(b"").encode());
            let (end, said) = (scripted.leave(), frames_said(&mut scripted));
            let taken = Request::Taken { offset: self.size }.encode();
            assert!(end.is_ok() || !said.contains(&taken), "what is not whole is not acknowledged");
            let is_whole =
                scripted.events.iter().any(|event| matches!(event, ClientEvent::Downloaded { .. }));
            assert_eq!(is_whole, end.is_ok());
            Lied { end, file: scripted.caller.file, said }
        }
    }

    struct Lied {
        end: Result<(), Error>,
        file: Vec<u8>,
        said: Vec<Vec<u8>>,
    }

    fn content() -> Vec<u8> {
        file(2 * CHUNK + 40)
    }

    /// Three pieces, of which the last is short.
    fn pieces(content: &[u8]) -> Vec<Vec<u8>> {
        sealed_bytes(&stored(content)).chunks(MAX_SEALED_CHUNK).map(<[u8]>::to_vec).collect()
    }

    /// The part of the content that so many chunks hold.
    fn chunks(count: usize) -> Vec<u8> {
        content()[..(count * CHUNK).saturating_sub(metadata().encode().expect("it is short").len())]
            .to_vec()
    }

    #[test]
    fn the_truth_is_taken_however_it_is_cut() {
        let all = pieces(&content()).concat();
        for cut in [MAX_PLAINTEXT - 2, MAX_SEALED_CHUNK, MAX_SEALED_CHUNK - 1, 1000] {
            let lied = Lie::of(all.chunks(cut).map(<[u8]>::to_vec).collect()).told_to(download());
            assert_eq!(lied.end, Ok(()));
            assert!(lied.file == content());
            assert_eq!(lied.said, [Request::Taken { offset: all.len() as u64 }.encode()]);
        }
        let tiny = sealed_bytes(&stored(b"tiny"));
        assert_eq!(
            Lie::of(tiny.chunks(1).map(<[u8]>::to_vec).collect()).told_to(download()).file,
            b"tiny"
        );
    }

    /// Pieces in another order, fewer, more, or others: the first wrong one is named, and what is
    /// before it was released.
    #[test]
    fn pieces_that_are_not_in_their_place_do_not_open() {
        let [a, b, c]: [Vec<u8>; 3] = pieces(&content()).try_into().expect("there are three");
        let short = c[..c.len() - 1].to_vec();
        let long = [c.as_slice(), b"x"].concat();
        for (what, parts, index) in [
            ("swapped", vec![b.clone(), a.clone(), c.clone()], 0),
            ("the first dropped", vec![b.clone(), c.clone()], 0),
            ("one dropped", vec![a.clone(), c.clone()], 1),
            ("one doubled", vec![a.clone(), a.clone(), b.clone(), c.clone()], 1),
            ("the last doubled", vec![a.clone(), b.clone(), c.clone(), c.clone()], 2),
            ("the last dropped", vec![a.clone(), b.clone()], 1),
            ("only the first", vec![a.clone()], 0),
            ("only the last", vec![c.clone()], 0),
            ("cut off", vec![a.clone(), b.clone(), short], 2),
            ("prolonged", vec![a, b, long], 2),
        ] {
            let lied = Lie::of(parts).told_to(download());
            assert_eq!(lied.end, Err(Integrity::Chunk { index }.into()), "{what}");
            assert!(lied.file == chunks(usize::try_from(index).expect("it is small")), "{what}");
            assert_eq!(lied.said, [broken()], "{what}");
        }
    }

    /// A client that keeps the header detects another file, even one of the same password.
    #[test]
    fn the_bytes_of_another_file_do_not_open() {
        let other =
            Download { header: Header::from_parts(Cost::DEFAULT, [1; 16], [3; 32]), ..download() };
        let lied = Lie::of(pieces(&content())).told_to(other);
        assert_eq!((lied.end, lied.file), (Err(Integrity::Chunk { index: 0 }.into()), vec![]));
        let password = Download { key: key(2), ..download() };
        assert_eq!(
            Lie::of(pieces(&content())).told_to(password).end,
            Err(Integrity::Chunk { index: 0 }.into())
        );
    }

    #[test]
    fn a_file_that_ends_before_the_size_that_was_told_is_not_whole() {
        let all = pieces(&content());
        let size = all.concat().len() as u64;
        for count in 0..3 {
            let lied = Lie::sized(size, all[..count].to_vec()).told_to(download());
            assert_eq!(lied.end, Err(Integrity::Truncated.into()), "{count}");
            assert!(lied.file == chunks(count), "{count}");
        }
    }

    #[test]
    fn a_file_that_goes_on_behind_the_size_that_was_told_is_refused() {
        let all = pieces(&content());
        let size = all.concat().len() as u64;
        let lied =
            Lie::sized(size, [all.clone(), vec![b"x".to_vec()]].concat()).told_to(download());
        assert_eq!(lied.end, Err(Integrity::Chain.into()));
        let first = Lie::sized(SEALED_CHUNK_LEN, vec![all.concat()]).told_to(download());
        assert_eq!((first.end, first.file), (Err(Integrity::Chain.into()), vec![]));
    }

    /// No sealed file has such a size: nothing is allocated and nothing is waited for.
    #[test]
    fn sizes_that_no_file_has_are_refused_at_once() {
        let limit = Scenario::fast().client.limits().largest_file;
        for (size, error) in [
            (0, Integrity::Chain.into()),
            (28, Integrity::Chain.into()),
            (SEALED_CHUNK_LEN + 1, Integrity::Chain.into()),
            (SEALED_CHUNK_LEN + 28, Integrity::Chain.into()),
            (limit + 1, Refusal::FileTooLarge { limit }.into()),
            (MAX_NUMBER, Refusal::FileTooLarge { limit }.into()),
        ] {
            let lied = Lie::sized(size, vec![]).told_to(download());
            assert_eq!((lied.end, lied.said), (Err(error), vec![broken()]), "{size}");
        }
    }

    #[test]
    fn a_chain_that_is_not_the_files_is_an_integrity_error() {
        let (all, other) = (pieces(&content()), ChainDigest::from_bytes([7; 32]));
        let size = all.concat().len() as u64;
        let mut chain = Chain::new(&header().to_bytes());
        chain.update(&all.concat());
        for (told, known, at_once) in [
            (Some(other), None, false),
            (None, Some(other), false),
            (Some(chain.digest()), Some(other), true),
        ] {
            let lied = Lie { size, chain: told, parts: all.clone() }
                .told_to(Download { chain: known, ..download() });
            assert_eq!(lied.end, Err(Integrity::Chain.into()));
            assert_eq!(
                lied.file.is_empty(),
                at_once,
                "nothing is taken of a file that is known to be another"
            );
        }
        let known = Some(chain.digest());
        assert_eq!(
            Lie { size, chain: known, parts: all }
                .told_to(Download { chain: known, ..download() })
                .end,
            Ok(())
        );
    }

    /// A hostile server could then guess the password as fast as it can hash (§18.11).
    #[test]
    fn a_sealed_file_is_not_taken_as_one_of_1_0() {
        let mut scripted =
            Scenario::fast().with_server_by_hand(Operation::Download(download()), &[]);
        scripted.say(
            &Reply::Approved { size: 1024, chain: None, expires: None, legacy: true }.encode(),
        );
        assert_eq!(scripted.leave(), Err(Integrity::Format.into()));
    }

    /// As if this much had come before.
    fn earlier(pieces: &[Vec<u8>]) -> Received {
        let mut chain = Chain::new(&header().to_bytes());
        chain.update(&pieces.concat());
        Received { offset: chain.position(), chain: chain.digest(), metadata: metadata() }
    }

    fn going_on(earlier: Received) -> Download {
        Download { earlier: Some(earlier), ..download() }
    }

    /// The server claims that the file ends where the client stopped: no chunk proves it.
    #[test]
    fn a_download_that_goes_on_does_not_end_where_it_was() {
        for content in [content(), file(chunks(2).len())] {
            let all = pieces(&content);
            for count in 1..=all.len() {
                let (before, after) = all.split_at(count);
                if after.is_empty() && before.concat().len() % MAX_SEALED_CHUNK > 0 {
                    continue;
                }
                let offset = before.concat().len() as u64;
                for size in [offset, offset - SEALED_CHUNK_LEN, SEALED_CHUNK_LEN]
                    .into_iter()
                    .filter(|size| *size > 0)
                {
                    for chain in [None, Some(earlier(before).chain)] {
                        let lie = Lie { size, chain, parts: vec![] };
                        let lied = lie.told_to(going_on(earlier(before)));
                        assert_eq!(
                            lied.end,
                            Err(Integrity::Truncated.into()),
                            "{size} after {offset}"
                        );
                        assert_eq!((lied.file, lied.said), (vec![], vec![broken()]));
                    }
                }
            }
        }
    }

    /// A chunk from the middle is not the last one, whatever size the server says.
    #[test]
    fn a_download_that_goes_on_ends_with_the_last_chunk_only() {
        let all = pieces(&content());
        let [a, b, c] = &all[..] else { panic!("there are three") };
        let goes_on = || going_on(earlier(std::slice::from_ref(a)));
        for (what, size, parts, error) in [
            (
                "cut after the second",
                2 * SEALED_CHUNK_LEN,
                vec![b.clone()],
                Integrity::Chunk { index: 1 },
            ),
            (
                "the last in place of the second",
                SEALED_CHUNK_LEN + c.len() as u64,
                vec![c.clone()],
                Integrity::Chunk { index: 1 },
            ),
            ("the end too early", all.concat().len() as u64, vec![b.clone()], Integrity::Truncated),
            ("no bytes", all.concat().len() as u64, vec![], Integrity::Truncated),
        ] {
            assert_eq!(Lie::sized(size, parts).told_to(goes_on()).end, Err(error.into()), "{what}");
        }
        let lied = Lie::of(all.clone()).told_to(download());
        let rest = Lie { size: all.concat().len() as u64, chain: None, parts: all[1..].to_vec() }
            .told_to(goes_on());
        assert_eq!((lied.end, rest.end), (Ok(()), Ok(())));
        assert!([chunks(1), rest.file].concat() == content());
    }

    /// The first part is known by its chain: bytes of another version of the file do not follow it.
    #[test]
    fn the_chain_is_compared_when_a_download_goes_on() {
        let all = pieces(&content());
        let [a, rest @ ..] = &all[..] else { panic!("there are three") };
        let mut chain = Chain::new(&header().to_bytes());
        chain.update(&all.concat());
        let told = |earlier| {
            let lie = Lie {
                size: all.concat().len() as u64,
                chain: Some(chain.digest()),
                parts: rest.to_vec(),
            };
            lie.told_to(going_on(earlier)).end
        };
        assert_eq!(told(earlier(std::slice::from_ref(a))), Ok(()));
        let other = Received {
            chain: ChainDigest::from_bytes([7; 32]),
            ..earlier(std::slice::from_ref(a))
        };
        assert_eq!(told(other), Err(Integrity::Chain.into()));
    }

    /// What was sealed with the file applies to all of it, however often it was interrupted.
    #[test]
    fn the_size_in_the_metadata_is_compared_when_a_download_goes_on() {
        let all = pieces(&content());
        let metadata = metadata().with("size", (content().len() as u64 + 1).to_string());
        let lie = Lie { size: all.concat().len() as u64, chain: None, parts: all[1..].to_vec() };
        let lied = lie.told_to(going_on(Received { metadata, ..earlier(&all[..1]) }));
        assert!(
            matches!(lied.end, Err(Error::Integrity(Integrity::Size { .. }))),
            "{:?}",
            lied.end
        );
        assert!(lied.file.is_empty());
    }

    #[test]
    fn a_download_goes_on_between_two_pieces_only() {
        let operation = Operation::Download(going_on(earlier(&[vec![0; 100]])));
        let mut client = Scenario::fast().with_server_by_hand(operation, &[]);
        assert!(matches!(client.leave(), Err(Error::Misuse(_))));
    }

    /// A client acknowledges what its caller has taken, no more, and at least each MiB (§18.7).
    #[test]
    fn acknowledgements_follow_what_was_taken() {
        let content = file(3_000_000);
        let sealed = sealed_bytes(&stored(&content));
        let lied = Lie::of(sealed.chunks(4 * MAX_SEALED_CHUNK).map(<[u8]>::to_vec).collect())
            .told_to(download());
        assert!(lied.file == content);
        let offsets: Vec<u64> = lied.said.iter().map(|frame| taken(frame)).collect();
        assert!(
            offsets
                .windows(2)
                .all(|sim_net| sim_net[0] < sim_net[1] && sim_net[1] - sim_net[0] <= 1 << 20),
            "{offsets:?}"
        );
        assert_eq!(offsets.last(), Some(&(sealed.len() as u64)));
    }

    fn taken(frame: &[u8]) -> u64 {
        match Request::parse(frame) {
            Ok(Request::Taken { offset }) => offset,
            other => panic!("{other:?}"),
        }
    }
}

/// Uploads.
mod uploads {
    use super::*;

    fn accept(offset: u64, window: u64, chain: Option<ChainDigest>) -> Vec<u8> {
        Reply::Accepted {
            cookie: cookie(),
            offset,
            window,
            chain,
            expires: None,
            keep: None,
            downloads: None,
        }
        .encode()
    }

    fn received(offset: u64, chain: Option<ChainDigest>) -> Vec<u8> {
        Reply::Received { offset, chain }.encode()
    }

    fn uploading(source: &[u8], window: u64) -> Client<'_> {
        let mut scripted = Scenario::fast()
            .with_server_by_hand(Operation::Upload(upload(Some(source.len()))), source);
        scripted.hear();
        scripted.say(&accept(0, window, None));
        scripted
    }

    /// The bytes of the file that a client has sent so far.
    fn sent(scripted: &mut Client<'_>) -> Vec<u8> {
        let data = |frame: Vec<u8>| frame.strip_prefix(b"F\0").expect("it is data").to_vec();
        frames_said(scripted).into_iter().flat_map(data).collect()
    }

    fn chain_of(sealed: &[u8]) -> ChainDigest {
        let mut chain = Chain::new(&header().to_bytes());
        chain.update(sealed);
        chain.digest()
    }

    fn claims_success(scripted: &Client<'_>) -> bool {
        scripted.events.iter().any(|event| matches!(event, ClientEvent::Uploaded { .. }))
    }

    #[test]
    fn a_window_that_holds_no_piece_is_refused_and_one_without_end_is_not() {
        for window in [0, 1, SEALED_CHUNK_LEN - 1] {
            let mut scripted = uploading(b"tiny", window);
            assert!(matches!(scripted.leave(), Err(Error::Misbehaved(_))), "{window}");
            assert_eq!(frames_said(&mut scripted), [broken()]);
        }
        let source = file(1_000_000);
        let mut scripted = uploading(&source, MAX_NUMBER);
        let sealed = sent(&mut scripted);
        scripted.say(&received(sealed.len() as u64, Some(chain_of(&sealed))));
        assert_eq!(scripted.leave(), Ok(()));
        assert!(claims_success(&scripted));
    }

    /// However small the steps are: never more than the window is on its way, and all of it is when
    /// there is enough.
    #[test]
    fn a_client_sends_no_more_than_the_window() {
        let source = file(500_000);
        let mut scripted = uploading(&source, 2 * SEALED_CHUNK_LEN + 5);
        let (mut sealed, mut acknowledged) = (Vec::new(), 0);
        while acknowledged < 450_000 {
            sealed.extend(sent(&mut scripted));
            let on_its_way = sealed.len() as u64 - acknowledged;
            assert!(
                on_its_way <= 2 * SEALED_CHUNK_LEN + 5 && on_its_way > SEALED_CHUNK_LEN - 10_000,
                "{on_its_way}"
            );
            acknowledged += 10_000;
            scripted.say(&received(acknowledged, None));
        }
    }

    #[test]
    fn offsets_out_of_turn_are_refused() {
        let source = file(500_000);
        for offsets in [
            vec![SEALED_CHUNK_LEN + 1],
            vec![MAX_NUMBER],
            vec![SEALED_CHUNK_LEN, SEALED_CHUNK_LEN - 1],
            vec![100, 99],
        ] {
            let mut scripted = uploading(&source, SEALED_CHUNK_LEN);
            for &offset in &offsets {
                scripted.say(&received(offset, None));
            }
            assert!(matches!(scripted.leave(), Err(Error::Misbehaved(_))), "{offsets:?}");
            assert_eq!(frames_said(&mut scripted).last(), Some(&broken()));
        }
    }

    /// What a server says of the end of an upload, if so many bytes with this chain were sent.
    type End = fn(u64, ChainDigest) -> (u64, ChainDigest);

    #[test]
    fn an_upload_whose_end_does_not_fit_is_no_success() {
        let ends: [End; 3] = [
            |size, _| (size, ChainDigest::from_bytes([7; 32])),
            |size, chain| (size - 1, chain),
            |size, chain| (size + 1, chain),
        ];
        for end in ends {
            let mut scripted = uploading(b"tiny", 8 << 20);
            let sealed = sent(&mut scripted);
            let (offset, chain) = end(sealed.len() as u64, chain_of(&sealed));
            scripted.say(&received(offset, Some(chain)));
            assert!(matches!(
                scripted.leave(),
                Err(Error::Integrity(Integrity::Chain) | Error::Misbehaved(_))
            ));
            assert!(!claims_success(&scripted));
            assert_eq!(frames_said(&mut scripted), [broken()]);
        }
    }

    #[test]
    fn an_end_that_comes_before_the_end_is_no_success() {
        let source = file(500_000);
        let mut scripted = uploading(&source, SEALED_CHUNK_LEN);
        let sealed = sent(&mut scripted);
        scripted.say(&received(sealed.len() as u64, Some(chain_of(&sealed))));
        assert!(matches!(scripted.leave(), Err(Error::Misbehaved(_))));
        assert!(!claims_success(&scripted));
    }

    /// What a server answers to a resumed upload must agree with what was noted (§17.10,
    /// §17.14).
    #[test]
    fn a_resume_goes_on_only_from_what_was_noted() {
        let (noted, other) = (ChainDigest::from_bytes([7; 32]), ChainDigest::from_bytes([8; 32]));
        let resume = || Resume {
            upload: upload(None),
            cookie: cookie(),
            noted: vec![(SEALED_CHUNK_LEN, noted)],
        };
        let moved = Reply::Accepted {
            cookie: unknown(),
            offset: 0,
            window: SEALED_CHUNK_LEN,
            chain: None,
            expires: None,
            keep: None,
            downloads: None,
        }
        .encode();
        for answer in [
            accept(SEALED_CHUNK_LEN, SEALED_CHUNK_LEN, Some(other)),
            accept(SEALED_CHUNK_LEN, SEALED_CHUNK_LEN, None),
            accept(2 * SEALED_CHUNK_LEN, SEALED_CHUNK_LEN, Some(noted)),
            accept(SEALED_CHUNK_LEN - 1, SEALED_CHUNK_LEN, Some(noted)),
            accept(0, SEALED_CHUNK_LEN, Some(noted)),
            moved,
        ] {
            let mut scripted =
                Scenario::fast().with_server_by_hand(Operation::Resume(resume()), b"tiny");
            scripted.hear();
            scripted.say(&answer);
            assert_eq!(scripted.leave(), Err(Integrity::Chain.into()), "{}", answer.escape_ascii());
            assert_eq!(frames_said(&mut scripted), [broken()]);
        }
        let mut scripted =
            Scenario::fast().with_server_by_hand(Operation::Resume(resume()), b"tiny");
        scripted.say(&accept(SEALED_CHUNK_LEN, SEALED_CHUNK_LEN, Some(noted)));
        let position = CHUNK as u64 - metadata().encode().expect("it is short").len() as u64;
        let started = ClientEvent::UploadStarted {
            cookie: cookie(),
            position,
            offset: SEALED_CHUNK_LEN,
            expires: None,
            keep: None,
            downloads: None,
        };
        assert!(scripted.events.contains(&started), "{:?}", scripted.events);
    }

    #[test]
    fn a_new_upload_begins_at_its_beginning() {
        let chain = ChainDigest::from_bytes([7; 32]);
        for (offset, chain) in [
            (SEALED_CHUNK_LEN, Some(chain)),
            (SEALED_CHUNK_LEN, None),
            (1, Some(chain)),
            (0, Some(chain)),
        ] {
            let mut scripted =
                Scenario::fast().with_server_by_hand(Operation::Upload(upload(Some(4))), b"tiny");
            scripted.hear();
            scripted.say(&accept(offset, 8 << 20, chain));
            assert_eq!(scripted.leave(), Err(Integrity::Chain.into()), "{offset}");
            assert_eq!(frames_said(&mut scripted), [broken()]);
        }
    }
}

/// A server must be able neither to weaken what a proof is made from, nor to exhaust a client
/// (§21.2).
#[test]
fn a_challenge_with_a_header_out_of_bounds_is_answered_with_no_proof() {
    for (at, value) in [
        (0, b'G'),
        (4, 2),
        (5, 0),
        (5, 2),
        (6, 15),
        (6, 19),
        (7, 2),
        (7, 11),
        (8, 0),
        (8, 5),
        (9, 15),
        (10, 1),
        (15, 1),
    ] {
        let mut bytes = header().to_bytes();
        bytes[at] = value;
        let seal = fss::wire::frame::to_base64(&bytes);
        let mut scripted =
            Scenario::fast().with_server_by_hand(Operation::Challenge { cookie: cookie() }, &[]);
        scripted.say(
            &write(b'S', &[b"Challenge"], &[("seal", seal.as_bytes())]).expect("it can be written"),
        );
        assert_eq!(scripted.leave(), Err(InvalidMessage::Arguments.into()), "byte {at}");
        assert_eq!(frames_said(&mut scripted), [b"D\x001\0".to_vec(), broken()]);
    }
}

/// Whether it is the header that was kept is for the caller to say: nothing is made of it before.
#[test]
fn a_challenge_with_another_header_is_reported_and_answered_with_nothing() {
    let other = Header::from_parts(Cost::DEFAULT, [4; 16], [5; 32]);
    for format in [StoredFormat::Sealed(other), StoredFormat::Legacy] {
        let mut scripted =
            Scenario::fast().with_server_by_hand(Operation::Challenge { cookie: cookie() }, &[]);
        scripted.say(&Reply::Challenge(format.clone()).encode());
        assert_eq!(scripted.events.last(), Some(&ClientEvent::Challenged(format)));
        assert_eq!(
            (scripted.leave(), frames_said(&mut scripted)),
            (Ok(()), vec![b"D\x001\0".to_vec()])
        );
    }
}

/// All that goes out for a download is a proof that is worth nothing anywhere else.
#[test]
fn a_download_sends_a_bound_proof_and_nothing_else() {
    let mut scripted = Scenario::fast().with_server_by_hand(Operation::Download(download()), &[]);
    let proof = proof(1, scripted.binding(), &cookie());
    assert_eq!(scripted.hear(), Request::Download { cookie: cookie(), proof, offset: 0 }.encode());
    assert_eq!(scripted.hear_if_any(), None);
}

fn entry(number: u64) -> Vec<u8> {
    Reply::Entry(Entry::new(Cookie::from_index(number), 1, 1)).encode()
}

/// One answer has at most 256 files (§19.1): a list without end fills no client's memory.
#[test]
fn a_list_that_does_not_end_is_refused() {
    let mut scripted = Scenario::fast().with_server_by_hand(Operation::List { after: None }, &[]);
    scripted.hear();
    let most = LISTED_AT_ONCE as u64;
    (0..most).for_each(|number| scripted.say(&entry(number)));
    assert_eq!(scripted.end(), None);
    scripted.say(&entry(most));
    assert!(matches!(scripted.leave(), Err(Error::Misbehaved(_))));
    let listed =
        scripted.events.iter().filter(|event| matches!(event, ClientEvent::Listed(_))).count();
    assert_eq!((listed, frames_said(&mut scripted)), (LISTED_AT_ONCE, vec![broken()]));
}

/// It would be requested endlessly.
#[test]
fn a_list_that_gives_nothing_and_promises_more_is_refused() {
    let mut scripted = Scenario::fast().with_server_by_hand(Operation::List { after: None }, &[]);
    scripted.hear();
    scripted.say(&Reply::EndOfList { more: true }.encode());
    assert!(matches!(scripted.leave(), Err(Error::Misbehaved(_))));
}

#[test]
fn each_answer_to_a_list_may_be_full() {
    let operations =
        vec![Operation::List { after: None }, Operation::List { after: Some(cookie()) }];
    let scenario = Scenario::fast();
    let mut scripted = ScriptedPeer::as_server(
        scenario.scripted(operations),
        scenario.server.config().clone(),
        &[],
    );
    for more in [true, false] {
        (0..LISTED_AT_ONCE as u64).for_each(|number| scripted.say(&entry(number)));
        scripted.say(&Reply::EndOfList { more }.encode());
    }
    assert_eq!(scripted.leave(), Ok(()));
}

#[test]
fn garbage_of_any_length_is_one_error() {
    for length in [18, 100, 4092, 4093, MAX_PLAINTEXT + 16] {
        let mut scripted = Scenario::fast().with_server_by_hand(Operation::Information, &[]);
        scripted.hear();
        let prefix = u32::try_from(length).expect("it is short").to_be_bytes();
        scripted.say_raw(&[&prefix, vec![0xaa; length].as_slice()].concat());
        assert_eq!(scripted.leave(), Err(Error::RecordDoesNotOpen), "{length}");
        assert_eq!(frames_said(&mut scripted), [broken()], "{length}");
    }
}

#[test]
fn records_that_are_replayed_reordered_or_sent_back_do_not_open() {
    for trick in 0..3 {
        let mut scripted =
            Scenario::fast().with_server_by_hand(Operation::List { after: None }, &[]);
        let request = scripted.said().to_vec();
        let [first, second] = [1, 2].map(|number| scripted.sealed(&entry(number)));
        let records = match trick {
            0 => [first.clone(), first].concat(),
            1 => [second, first].concat(),
            _ => request,
        };
        scripted.say_raw(&records);
        assert_eq!(scripted.leave(), Err(Error::RecordDoesNotOpen));
    }
}

/// A server must not make a client wait for ever, whatever the next frame is.
#[test]
fn a_server_that_falls_silent_is_left() {
    let source = file(500_000);
    let operations = [
        Operation::Upload(upload(None)),
        Operation::Download(download()),
        Operation::List { after: None },
    ];
    for operation in operations {
        let mut scripted = Scenario::fast().with_server_by_hand(operation, &source);
        scripted.let_pass(std::time::Duration::from_secs(60));
        assert!(matches!(scripted.end(), Some(Err(Error::TimedOut(_)))));
    }
}

/// The end of an upload of no bytes but metadata, which is the smallest there is.
#[test]
fn the_smallest_file_has_a_piece() {
    let store = stored(b"");
    let metadata = metadata().encode().expect("it is short").len() as u64;
    assert_eq!(sealed_bytes(&store).len() as u64, stored_length(metadata));
    assert_eq!(Scenario::fast().download(&store, Wire::default()).client, Ok(()));
}
