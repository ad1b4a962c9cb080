//! Without the password it is not disclosed whether a file exists: the same bytes, after the
//! same work (§16, §18).

use fss::store::StoredFormat;
use fss::wire::reply::{Reply, ReplyContext};
use fss_test_support::counting::Counting;
use fss_test_support::fault_store::FaultStore;

use super::*;

/// What a stranger can see of an answer, and what it cost the server.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// In plaintext, and how long it was on the wire.
    frame: Vec<u8>,
    length: usize,
    /// Steps of the store.
    asked: Vec<&'static str>,
    /// Operations of RSA and of AES-GCM.
    crypto: [u64; 3],
}

/// Asks a server of its own, for so many wrong passwords would be slowed down.
fn ask(store: &MemoryStore, request: impl FnOnce(&[u8; 32]) -> Request<'static>) -> Seen {
    let (counting, fault_store) = (Counting::new(InsecureCrypto), FaultStore::new(store.clone()));
    let scenario = Scenario { server: Scenario::with(&counting).server, ..Scenario::of_stranger() };
    let mut scripted = scenario.with_client_by_hand(fault_store.clone());
    let request = scripted.sealed(&request(scripted.binding()).encode());
    scripted.say_raw(&request);
    let length = scripted.said().len();
    let frame = scripted.hear();
    assert_eq!(scripted.hear_if_any(), None);
    Seen {
        frame,
        length,
        asked: fault_store.asked(),
        crypto: [counting.opened(), counting.sealed(), counting.aead()],
    }
}

/// A store with a file, a pending upload, and a file whose only download is claimed by someone
/// else.
struct Files {
    store: MemoryStore,
    pending: Cookie,
    claimed: Cookie,
    download: Box<dyn fss::store::FileReader>,
}

impl Files {
    fn new() -> Self {
        let store = stored(b"secret");
        let owner = Scenario::fast().client.identity().public_key().fingerprint();
        let begin = |downloads| {
            let upload = new_upload().with_downloads(downloads);
            store.create(&NewFile::Sealed { upload, owner }).expect("the store works")
        };
        let (pending, claimed) = (begin(None), begin(Some(1)));
        let (pending, claimed_cookie) = (pending.cookie().clone(), claimed.cookie().clone());
        claimed.commit().expect("the store works");
        let mut download =
            store.open(&claimed_cookie).expect("the store works").expect("it is there");
        assert_eq!(download.claim(&fss::crypto::Fingerprint::from_bytes([7; 32])), Ok(true));
        Self { store, pending, claimed: claimed_cookie, download }
    }

    /// What the answers to a request with a wrong proof, or none, have in common.
    fn assert_same(
        &self,
        request: impl Fn(&[u8; 32], &Cookie) -> Request<'static>,
        others: &[&Cookie],
    ) -> Seen {
        let there = ask(&self.store, |binding| request(binding, &cookie()));
        for other in [&unknown()].iter().chain(others) {
            assert_eq!(ask(&self.store, |binding| request(binding, other)), there, "{other}");
        }
        there
    }
}

const REFUSED: &[u8] = b"E\0No such file, or the wrong password.\0code=refused\0";

#[test]
fn a_download_with_a_wrong_password_looks_like_one_of_no_file() {
    let files = Files::new();
    let request = |binding: &[u8; 32], cookie: &Cookie| Request::Download {
        cookie: cookie.clone(),
        proof: proof(2, binding, cookie),
        offset: 0,
    };
    let seen = files.assert_same(request, &[&files.pending, &files.claimed]);
    assert_eq!((seen.frame.as_slice(), seen.asked.as_slice()), (REFUSED, ["open"].as_slice()));
}

/// The size is not for strangers (§18.5).
#[test]
fn a_wrong_offset_looks_right_to_who_has_not_the_password() {
    let files = Files::new();
    let with = |offset| {
        move |binding: &[u8; 32], cookie: &Cookie| Request::Download {
            cookie: cookie.clone(),
            proof: proof(2, binding, cookie),
            offset,
        }
    };
    let seen = [0, 1, 1 << 40].map(|offset| files.assert_same(with(offset), &[]).frame);
    assert_eq!(seen, [REFUSED; 3]);
}

#[test]
fn a_deletion_with_a_wrong_password_looks_like_one_of_no_file() {
    let files = Files::new();
    for password in [Some(2), None] {
        let request = |binding: &[u8; 32], cookie: &Cookie| Request::Delete {
            cookie: cookie.clone(),
            proof: password.map(|password| proof(password, binding, cookie)),
        };
        let seen = files.assert_same(request, &[&files.pending, &files.claimed]);
        assert_eq!(
            (seen.frame.as_slice(), seen.asked.as_slice()),
            (REFUSED, ["remove owned", "open"].as_slice())
        );
    }
    assert_eq!(files.store.len(), 2);
}

/// An owner whose answer was lost repeats the request, and it succeeds; to any other client the
/// cookie is unknown.
#[test]
fn a_deletion_can_be_repeated_by_the_owner_alone() {
    let files = Files::new();
    let delete = |scenario: Scenario, cookie: &Cookie| {
        let mut scripted = scenario.with_client_by_hand(files.store.clone());
        let request =
            scripted.sealed(&Request::Delete { cookie: cookie.clone(), proof: None }.encode());
        scripted.say_raw(&request);
        scripted.said();
        scripted.hear()
    };
    let own = files.claimed.clone();
    drop(files.download);
    assert_eq!(delete(Scenario::fast(), &own), Reply::Deleted.encode());
    assert_eq!(delete(Scenario::fast(), &own), Reply::Deleted.encode(), "and once more");
    assert_eq!(delete(Scenario::fast(), &unknown()), REFUSED);
    for password in [Some(2), None] {
        let request = |cookie: &Cookie| {
            let cookie = cookie.clone();
            ask(&files.store, |binding| Request::Delete {
                proof: password.map(|password| proof(password, binding, &cookie)),
                cookie: cookie.clone(),
            })
        };
        assert_eq!(request(&own), request(&unknown()));
    }
}

#[test]
fn a_resume_with_a_wrong_password_looks_like_one_of_no_upload() {
    let files = Files::new();
    let request = |binding: &[u8; 32], cookie: &Cookie| Request::Resume {
        header: header(),
        cookie: cookie.clone(),
        proof: proof(2, binding, cookie),
        offset: 0,
    };
    let seen = files.assert_same(request, &[&files.pending, &files.claimed]);
    assert_eq!(
        (seen.frame.as_slice(), seen.asked.as_slice()),
        (REFUSED, ["find upload"].as_slice())
    );
}

/// Right password, wrong header: the upload is not touched, and the answer says no more than that
/// of a wrong password.
#[test]
fn a_resume_with_another_header_is_refused_in_the_same_words() {
    let files = Files::new();
    let header = Header::from_parts(Cost::DEFAULT, [1; 16], [3; 32]);
    let seen = ask(&files.store, |binding| Request::Resume {
        header,
        cookie: files.pending.clone(),
        proof: proof(1, binding, &files.pending),
        offset: 0,
    });
    assert_eq!(
        (seen.frame.as_slice(), seen.asked.as_slice()),
        (REFUSED, ["find upload"].as_slice())
    );
}

/// No proof is valid for a decoy, not even one from its verifier by a thief of the server's
/// secret.
#[test]
fn the_right_proof_for_a_decoy_is_refused() {
    let verifier = Decoys::from_secret([9; 32]).verifier(&unknown());
    for delete in [false, true] {
        let seen = ask(&store(), |binding| {
            let (cookie, proof) = (unknown(), Proof::new(&verifier, binding, &unknown()));
            if delete {
                Request::Delete { cookie, proof: Some(proof) }
            } else {
                Request::Download { cookie, proof, offset: 0 }
            }
        });
        assert_eq!(seen.frame, REFUSED);
    }
}

fn challenged(store: &MemoryStore, cookie: &Cookie) -> Header {
    let seen = ask(store, |_| Request::Challenge { cookie: cookie.clone() });
    assert_eq!(
        (seen.asked.as_slice(), seen.crypto[2]),
        (["format"].as_slice(), 3),
        "K, request, answer"
    );
    match Reply::parse(&seen.frame, ReplyContext::Other) {
        Ok(Reply::Challenge(StoredFormat::Sealed(header))) => header,
        other => panic!("{other:?}"),
    }
}

#[test]
fn decoys_look_like_headers_and_stay_the_same() {
    let files = Files::new();
    assert_eq!(challenged(&files.store, &cookie()), header());
    let cookies = [unknown(), Cookie::from_index(1000), files.pending.clone()];
    let decoys = cookies.each_ref().map(|cookie| challenged(&files.store, cookie));
    for (number, (cookie, decoy)) in cookies.iter().zip(&decoys).enumerate() {
        assert_eq!(challenged(&files.store, cookie), *decoy, "asking twice gives the same");
        assert_eq!(decoy.cost(), Cost::DEFAULT);
        for other in &decoys[..number] {
            assert!(decoy.salt() != other.salt() && decoy.file_id() != other.file_id());
        }
        assert_ne!(*decoy, header());
    }
}

/// A challenge is as long for a decoy as for a file, and costs the same.
#[test]
fn a_challenge_of_no_file_looks_like_one_of_a_file() {
    let files = Files::new();
    let [there, decoy] =
        [cookie(), unknown()].map(|cookie| ask(&files.store, |_| Request::Challenge { cookie }));
    assert_eq!(there.frame.len(), decoy.frame.len());
    assert_eq!(
        (there.length, there.asked, there.crypto),
        (decoy.length, decoy.asked, decoy.crypto)
    );
}

/// The decoys of a file are there before it and after it.
#[test]
fn a_file_that_is_gone_gets_the_decoy_that_it_had_before_it_came() {
    let store = store();
    let before = challenged(&store, &cookie());
    put(&store, vec![0; 100]);
    assert_eq!(challenged(&store, &cookie()), header());
    store.remove(&cookie()).expect("the store works");
    assert_eq!(challenged(&store, &cookie()), before);
}
