//! The tests that any storage backend must pass: call [`check`] from a test of the backend.
//!
//! ```
//! fss::store::conformance::check(fss::MemoryStore::new);
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use bytes::Bytes;

use super::{
    Account, Entry, FILE_CHARGE, FileReader, FileWriter, LISTED_AT_ONCE, NewFile, NewUpload,
    Removal, Resumed, Store, StoreError, StoreErrorKind, StoredFormat, UploadKey, UserName,
};
use crate::chain::{CHECKPOINT, Chain, ChainDigest};
use crate::crypto::Fingerprint;
use crate::crypto::legacy::Verifier;
use crate::sealed::{Cost, Header};
use crate::types::cookie::Cookie;

/// Checks the contract of [`Store`] on stores that `new` creates: empty, open to any key, and
/// keeping files for ever.
///
/// # Panics
/// With what is wrong, if the backend breaks the contract.
pub fn check<S: Store>(new: impl Fn() -> S) {
    for size in [0, 1, 15, 16, 17, 1023, 1024, 1025, 65_563, 65_564, 65_565, 100_000] {
        a_file_comes_back(&new(), size);
        a_sealed_file_comes_back(&new(), size);
    }
    a_file_is_invisible_until_committed(&new());
    an_abandoned_upload_leaves_nothing(&new());
    a_write_must_follow_the_one_before(&new());
    a_removed_file_is_gone_but_can_be_read_to_its_end(&new());
    a_read_beyond_the_end_is_an_error(&new());
    cookies_are_never_the_same(&new());
    many_threads_do_not_disturb_each_other(&new());
    a_broken_upload_is_pending_and_goes_on_at_the_start(&new());
    an_upload_goes_on_at_a_checkpoint(&new());
    an_upload_has_one_writer(&new());
    a_complete_upload_says_so(&new());
    nothing_else_can_be_resumed(&new());
    deliveries_are_claimed(&new());
    a_delivery_is_used_up_by_nothing_but_being_delivered(&new());
    keeping_is_what_was_asked_for(&new());
    an_owner_lists_its_files(&new());
    a_long_list_comes_in_parts(&new());
    users_sign_up_once(&new());
}

/// Stores a file of FSS 1.0 in writes of 1000 bytes.
///
/// # Errors
/// Those of the store.
pub fn put(store: &impl Store, content: &[u8]) -> Result<Cookie, StoreError> {
    put_file(store, &legacy(content), content)
}

/// Stores a sealed file in writes of 1000 bytes.
///
/// # Errors
/// Those of the store.
pub fn put_sealed(store: &impl Store, content: &[u8]) -> Result<Cookie, StoreError> {
    put_file(store, &sealed(content), content)
}

/// Stores a file in writes of 1000 bytes.
///
/// # Errors
/// Those of the store.
///
/// # Panics
/// If its chain is not the one that it should be.
pub fn put_file(store: &impl Store, file: &NewFile, content: &[u8]) -> Result<Cookie, StoreError> {
    let mut upload = store.create(file)?;
    write(&mut *upload, 0, content)?;
    let cookie = upload.cookie().clone();
    assert!(
        upload.commit()? == chain(file, content),
        "the chain is that of the header and the bytes"
    );
    Ok(cookie)
}

/// Reads `length` bytes at `offset`.
///
/// # Errors
/// Those of the store.
pub fn read(
    download: &mut dyn FileReader,
    offset: u64,
    length: usize,
) -> Result<Vec<u8>, StoreError> {
    let mut content = vec![0; length];
    download.read(offset, &mut content)?;
    Ok(content)
}

/// Reads a whole file in reads of 700 bytes and checks its verifier; `None` if it is not there.
///
/// # Errors
/// Those of the store.
///
/// # Panics
/// If the verifier is not the one that [`put`] or [`put_sealed`] stored.
pub fn get(store: &impl Store, cookie: &Cookie) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(mut download) = store.open(cookie)? else { return Ok(None) };
    let size = download.file().size;
    let mut content = Vec::new();
    while (content.len() as u64) < size {
        let offset = content.len() as u64;
        let length = usize::try_from(size - offset).map_or(700, |rest| rest.min(700));
        content.extend(read(&mut *download, offset, length)?);
    }
    assert!(download.file().verifier == verifier(&content), "the verifier comes back");
    Ok(Some(content))
}

/// Writes a part of a file in writes of 1000 bytes.
///
/// # Errors
/// Those of the store.
pub fn write(upload: &mut dyn FileWriter, offset: u64, content: &[u8]) -> Result<(), StoreError> {
    let pieces = (offset..).step_by(1000).zip(content.chunks(1000));
    pieces
        .into_iter()
        .try_for_each(|(offset, piece)| upload.write(offset, Bytes::copy_from_slice(piece)))
}

/// What a client says of a sealed file of this content, whose size it does not say.
pub fn new_upload(content: &[u8]) -> NewUpload {
    let header = Header::from_parts(
        Cost::DEFAULT,
        [1; 16],
        [u8::try_from(content.len() % 256).unwrap_or(0); 32],
    );
    NewUpload { header, verifier: verifier(content), size: None, keep: None, downloads: None }
}

/// The key of a client.
pub fn key(number: u8) -> Fingerprint {
    Fingerprint::from_bytes([number; Fingerprint::LENGTH])
}

/// The chain of a file that has come so far.
pub fn chain(file: &NewFile, content: &[u8]) -> ChainDigest {
    let mut chain = file.chain();
    chain.update(content);
    chain.digest()
}

fn verifier(content: &[u8]) -> Verifier {
    let mut bytes = [0; Verifier::LENGTH];
    bytes[..8].copy_from_slice(&(content.len() as u64).to_be_bytes());
    bytes[8] = content.first().copied().unwrap_or(0);
    Verifier::from_bytes(bytes)
}

fn content(size: usize) -> Vec<u8> {
    let mut content = (0..251).collect::<Vec<u8>>().repeat(size / 251 + 1);
    content.truncate(size);
    content
}

fn legacy(content: &[u8]) -> NewFile {
    NewFile::Legacy { verifier: verifier(content) }
}

fn sealed(content: &[u8]) -> NewFile {
    NewFile::Sealed { upload: new_upload(content), owner: key(0) }
}

fn works<T>(result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| panic!("the store fails: {error}"))
}

fn a_file_comes_back(store: &impl Store, size: usize) {
    let cookie = works(put(store, &content(size)));
    assert!(
        works(get(store, &cookie)) == Some(content(size)),
        "a file of {size} bytes comes back whole"
    );
    let download = works(store.open(&cookie)).expect("it is there");
    works(download.delivered());
    assert!(
        works(get(store, &cookie)).is_some(),
        "a file that is kept for ever outlives its delivery"
    );
}

fn a_file_is_invisible_until_committed(store: &impl Store) {
    let mut upload = works(store.create(&legacy(b"x")));
    works(upload.write(0, Bytes::from_static(b"x")));
    let cookie = upload.cookie().clone();
    assert!(works(store.open(&cookie)).is_none(), "a file is invisible before its commit");
    assert!(!works(store.remove(&cookie)), "a file that is invisible cannot be removed");
    works(upload.commit());
    assert!(works(get(store, &cookie)).is_some(), "a file is visible after its commit");
}

fn an_abandoned_upload_leaves_nothing(store: &impl Store) {
    let mut upload = works(store.create(&legacy(b"x")));
    works(upload.write(0, Bytes::from_static(b"x")));
    let cookie = upload.cookie().clone();
    assert!(works(store.find_upload(&cookie)).is_none(), "an upload of FSS 1.0 cannot be resumed");
    assert!(works(store.resume(&cookie, 0)).is_none(), "an upload of FSS 1.0 cannot be resumed");
    drop(upload);
    assert!(works(store.open(&cookie)).is_none(), "an abandoned upload leaves no file");
}

fn a_write_must_follow_the_one_before(store: &impl Store) {
    let mut upload = works(store.create(&legacy(b"x")));
    works(upload.write(0, Bytes::from_static(b"abc")));
    assert!(upload.write(2, Bytes::from_static(b"x")).is_err(), "an overlapping write is refused");
    assert!(
        upload.write(4, Bytes::from_static(b"x")).is_err(),
        "a write that leaves a gap is refused"
    );
}

fn a_removed_file_is_gone_but_can_be_read_to_its_end(store: &impl Store) {
    let cookie = works(put(store, &content(5000)));
    let mut open = works(store.open(&cookie)).expect("it is there");
    assert_eq!(
        works(store.format(&cookie)),
        Some(StoredFormat::Legacy),
        "a file without a header is one of FSS 1.0"
    );
    assert!(works(store.remove(&cookie)), "a file that is there is removed");
    assert!(!works(store.remove(&cookie)), "a file is removed once");
    assert!(works(store.format(&cookie)).is_none(), "a removed file has no format");
    for by_its_owner in [true, false] {
        let sealed = works(put_sealed(store, b"its owner's"));
        assert_eq!(
            works(store.remove_owned(&sealed, &key(1))),
            Removal::NotOwned,
            "another owner removes nothing"
        );
        assert!(works(store.open(&sealed)).is_some(), "another owner removes nothing");
        assert!(
            matches!(works(store.format(&sealed)), Some(StoredFormat::Sealed(_))),
            "a sealed file has its header"
        );
        if by_its_owner {
            assert_eq!(
                works(store.remove_owned(&sealed, &key(0))),
                Removal::Removed,
                "its owner removes a file"
            );
        } else {
            assert!(works(store.remove(&sealed)), "a file that is there is removed");
        }
        assert!(works(store.open(&sealed)).is_none(), "a removed file cannot be opened");
        assert_eq!(
            works(store.remove_owned(&sealed, &key(0))),
            Removal::RemovedBefore,
            "its owner may ask once more"
        );
        let of_others = works(store.remove_owned(&sealed, &key(1)));
        assert_eq!(of_others, Removal::NotOwned, "a removed file is remembered for its owner only");
    }
    assert!(works(store.open(&cookie)).is_none(), "a removed file cannot be opened");
    assert!(
        works(read(&mut *open, 0, 5000)) == content(5000),
        "a file that was opened before can be read"
    );
    assert!(works(get(store, &works(put(store, b"next")))).is_some(), "the store goes on");
}

fn a_read_beyond_the_end_is_an_error(store: &impl Store) {
    let cookie = works(put(store, &content(10)));
    let mut open = works(store.open(&cookie)).expect("it is there");
    assert!(read(&mut *open, 5, 6).is_err(), "a read across the end is refused");
    assert!(read(&mut *open, u64::MAX, 1).is_err(), "a read far beyond the end is refused");
    assert!(read(&mut *open, 10, 0).is_ok(), "an empty read at the end is fine");
    let mut room = [7; 6];
    works(open.read(3, &mut room[1..4]));
    let expected = [&[7], &content(10)[3..6], &[7, 7]].concat();
    assert!(room[..] == expected, "the whole buffer is filled, and nothing around it");
}

fn cookies_are_never_the_same(store: &impl Store) {
    let mut seen = HashSet::new();
    for i in 0..20 {
        let cookie = works(put(store, &content(i)));
        assert!(seen.insert(cookie.clone()), "a cookie is given out once");
        if i % 3 == 0 {
            works(store.remove(&cookie));
        }
    }
    assert!(
        works(store.open(&Cookie::from_random([255; 16]))).is_none(),
        "an unknown cookie has no file"
    );
}

fn many_threads_do_not_disturb_each_other(store: &impl Store) {
    let files = Mutex::new(HashMap::new());
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let files = &files;
            scope.spawn(move || {
                for i in 0..5 {
                    let content = content(thread * 1000 + i);
                    let cookie = works(put(store, &content));
                    assert!(
                        files
                            .lock()
                            .expect("no test thread panicked")
                            .insert(cookie, content)
                            .is_none()
                    );
                }
            });
        }
    });
    for (cookie, content) in files.lock().expect("no test thread panicked").iter() {
        assert!(
            works(get(store, cookie)).as_ref() == Some(content),
            "what a thread stored comes back"
        );
    }
}

fn a_sealed_file_comes_back(store: &impl Store, size: usize) {
    let (file, content) = (sealed(&content(size)), content(size));
    let cookie = works(put_file(store, &file, &content));
    assert!(
        works(get(store, &cookie)).as_ref() == Some(&content),
        "a sealed file of {size} bytes comes back whole"
    );
    let NewFile::Sealed { upload, owner } = &file else { return };
    let known = works(store.open(&cookie)).expect("it is there").file().clone();
    assert!(
        known.header.as_ref() == Some(&upload.header),
        "the header comes back, and is not counted"
    );
    assert!(
        known.owner == Some(*owner)
            && known.verifier == upload.verifier
            && known.size == size as u64
    );
    assert!(known.chain == Some(chain(&file, &content)) && known.expires.is_none());
}

/// Breaks an upload off after these bytes.
fn broken(store: &impl Store, file: &NewFile, content: &[u8]) -> Cookie {
    let mut upload = works(store.create(file));
    works(write(&mut *upload, 0, content));
    upload.cookie().clone()
}

/// Resumes an upload that must be pending.
fn resumed(
    store: &impl Store,
    cookie: &Cookie,
    offset: u64,
) -> (Box<dyn FileWriter>, u64, ChainDigest) {
    let Resumed { upload, offset, chain, .. } =
        works(store.resume(cookie, offset)).expect("it is pending");
    (upload.expect("it is not complete"), offset, chain)
}

fn a_broken_upload_is_pending_and_goes_on_at_the_start(store: &impl Store) {
    let (file, content) = (sealed(b"all of it"), b"all of it");
    let cookie = broken(store, &file, b"other bytes, and more of them");
    assert!(works(store.open(&cookie)).is_none(), "a pending file cannot be opened");
    assert!(!works(store.remove(&cookie)), "a pending file cannot be removed");
    let listing =
        works(store.list(&key(0), None)).expect("nothing was asked for that is not there");
    assert!(listing.files.is_empty() && !listing.more, "a pending file is not listed");
    assert!(works(store.list(&key(0), Some(&cookie))).is_none(), "nor can a list begin after it");
    let NewFile::Sealed { upload: NewUpload { header, verifier, .. }, owner } = file.clone() else {
        return;
    };
    let known = UploadKey { header, verifier, owner: Some(owner) };
    assert!(
        works(store.find_upload(&cookie)) == Some(known),
        "what a resume is checked with is kept"
    );
    let (mut upload, offset, start) = resumed(store, &cookie, 20);
    assert!(
        (offset, start) == (0, file.chain().digest()),
        "before the first checkpoint there is the start"
    );
    assert!(*upload.cookie() == cookie, "the cookie stays");
    works(write(&mut *upload, 0, content));
    assert!(works(upload.commit()) == chain(&file, content), "what came before is forgotten");
    assert!(works(get(store, &cookie)).as_deref() == Some(&content[..]), "a resumed file is whole");
}

fn an_upload_goes_on_at_a_checkpoint(store: &impl Store) {
    let checkpoint = usize::try_from(CHECKPOINT).expect("memory is large enough");
    let content = content(checkpoint + 70_000);
    let file = sealed(&content);
    let cookie = broken(store, &file, &content[..checkpoint + 1500]);
    let (upload, offset, at) = resumed(store, &cookie, u64::MAX);
    assert!(offset == CHECKPOINT, "an upload goes on at its last checkpoint");
    assert!(at == chain(&file, &content[..checkpoint]), "with the chain there");
    drop(upload);
    let (mut upload, offset, at) = resumed(store, &cookie, CHECKPOINT);
    assert!(offset == CHECKPOINT, "and at the one that the client knows");
    let mut other = Chain::resume(offset, at);
    other.update(&content[checkpoint..]);
    works(write(&mut *upload, offset, &content[checkpoint..]));
    assert!(works(upload.commit()) == other.digest() && other.digest() == chain(&file, &content));
    assert!(works(get(store, &cookie)).as_ref() == Some(&content), "a file that went on is whole");

    let cookie = broken(store, &file, &content[..checkpoint]);
    assert!(resumed(store, &cookie, CHECKPOINT - 1).1 == 0, "never after what the client knows");
    assert!(resumed(store, &cookie, CHECKPOINT).1 == 0, "what was cut off is gone");
}

fn an_upload_has_one_writer(store: &impl Store) {
    let file = sealed(b"of the newer one");
    let mut older = works(store.create(&file));
    works(older.write(0, Bytes::from_static(b"of the older one")));
    let cookie = older.cookie().clone();
    let (mut newer, ..) = resumed(store, &cookie, 16);
    let superseded = |error: StoreError| error.kind() == StoreErrorKind::Superseded;
    assert!(
        older.write(16, Bytes::from_static(b", again")).is_err_and(superseded),
        "it writes no more"
    );
    works(newer.write(0, Bytes::from_static(b"of the newer one")));
    assert!(older.commit().is_err_and(superseded), "nor does it commit");
    works(newer.commit());
    assert!(
        works(get(store, &cookie)).as_deref() == Some(b"of the newer one"),
        "nothing of the older one is in the file"
    );

    let older = works(store.create(&file));
    let cookie = older.cookie().clone();
    let (mut newer, ..) = resumed(store, &cookie, 0);
    drop(older);
    works(newer.write(0, Bytes::from_static(b"x")));
    drop(newer);
    assert!(works(store.find_upload(&cookie)).is_some(), "whoever lets go, it stays pending");
}

fn a_complete_upload_says_so(store: &impl Store) {
    let content = content(100_000);
    let file = sealed(&content);
    let cookie = works(put_file(store, &file, &content));
    let NewFile::Sealed { upload: NewUpload { header, verifier, .. }, owner } = file.clone() else {
        return;
    };
    let known = UploadKey { header, verifier, owner: Some(owner) };
    assert!(works(store.find_upload(&cookie)) == Some(known), "a complete upload can be asked for");
    for offset in [0, 100_000] {
        let resumed = works(store.resume(&cookie, offset)).expect("it is there");
        assert!(resumed.upload.is_none(), "nothing is to be done");
        assert!(
            (resumed.offset, resumed.chain) == (100_000, chain(&file, &content)),
            "a resume says what is there"
        );
    }
    assert!(works(get(store, &cookie)).as_ref() == Some(&content), "and changes nothing");
}

fn nothing_else_can_be_resumed(store: &impl Store) {
    let removed = works(put_sealed(store, b"removed"));
    works(store.remove(&removed));
    let legacy = works(put(store, b"of FSS 1.0"));
    for cookie in [&removed, &Cookie::from_random([255; 16])] {
        assert!(works(store.resume(cookie, 0)).is_none(), "what is not there cannot be resumed");
    }
    for cookie in [&legacy, &removed, &Cookie::from_random([255; 16])] {
        assert!(
            works(store.find_upload(cookie)).is_none(),
            "nor is there anything to check a resume with"
        );
    }
}

/// A sealed file that is kept for some deliveries.
fn limited(store: &impl Store, downloads: u64) -> Cookie {
    let upload = NewUpload { downloads: Some(downloads), ..new_upload(b"limited") };
    works(put_file(store, &NewFile::Sealed { upload, owner: key(0) }, b"limited"))
}

fn deliveries_are_claimed(store: &impl Store) {
    let cookie = limited(store, 2);
    let left = || {
        works(store.list(&key(0), None))
            .expect("listed")
            .files
            .first()
            .and_then(|file| file.downloads)
    };
    let mut downloads: Vec<_> =
        (0..3).map(|_| works(store.open(&cookie)).expect("it is there")).collect();
    assert!(left() == Some(2), "opening a file claims nothing");
    let claimed: Vec<bool> =
        (1..).zip(&mut downloads).map(|(by, download)| works(download.claim(&key(by)))).collect();
    assert!(
        claimed == [true, true, false] && left() == Some(0),
        "there are as many deliveries as were asked for"
    );
    assert!(works(downloads[0].claim(&key(1))) && left() == Some(0), "a delivery is claimed once");
    assert!(
        works(store.open(&cookie)).is_some(),
        "with none left the file is still there: for its owner, and for who has a claim"
    );
    let mut second = downloads.remove(1);
    works(downloads.remove(0).delivered());
    assert!(left() == Some(0), "one is delivered");
    assert!(works(read(&mut *second, 0, 7)) == b"limited", "the other goes on");
    works(second.delivered());
    assert!(
        left().is_none() && !works(store.remove(&cookie)),
        "after the last delivery the file is removed"
    );
    drop(downloads);

    let mut unlimited = works(store.open(&works(put_sealed(store, b"x")))).expect("it is there");
    assert!(works(unlimited.claim(&key(1))), "without a limit there is always one");
}

fn a_delivery_is_used_up_by_nothing_but_being_delivered(store: &impl Store) {
    let cookie = limited(store, 1);
    for _ in 0..10 {
        let mut download = works(store.open(&cookie)).expect("it is there");
        assert!(works(download.claim(&key(1))), "a line may break however often");
        let mut other = works(store.open(&cookie)).expect("it is there");
        assert!(!works(other.claim(&key(2))), "and nobody else gets what is claimed");
    }
    let mut download = works(store.open(&cookie)).expect("it is there");
    assert!(works(download.claim(&key(1))));
    works(download.delivered());
    assert!(works(store.open(&cookie)).is_none(), "now it is used up");
}

fn keeping_is_what_was_asked_for(store: &impl Store) {
    let upload = NewUpload { keep: Some(3600), ..new_upload(b"x") };
    let file = NewFile::Sealed { upload, owner: key(0) };
    let mut upload = works(store.create(&file));
    let promised = upload.expires().expect("it expires");
    works(upload.write(0, Bytes::from_static(b"x")));
    let cookie = upload.cookie().clone();
    works(upload.commit());
    let expires = works(store.open(&cookie)).expect("it is there").file().expires;
    assert!(
        expires.is_some_and(|expires| expires >= promised),
        "the time begins when the file is complete"
    );
    let listed = works(store.list(&key(0), None)).expect("listed").files;
    assert!(
        listed.iter().all(|file| file.expires == expires && expires == Some(file.stored + 3600))
    );
    let resumed = works(store.resume(&cookie, 0)).expect("it is there");
    assert!(resumed.expires == expires, "a resume says when");
}

fn an_owner_lists_its_files(store: &impl Store) {
    works(put(store, b"of nobody"));
    let mut cookies = Vec::new();
    for size in 0..5 {
        cookies.push(works(put_sealed(store, &content(size))));
        let other = NewFile::Sealed { upload: new_upload(b"other"), owner: key(1) };
        works(put_file(store, &other, b"other"));
    }
    works(store.remove(&cookies.remove(1)));
    let list = |owner, after: Option<&Cookie>| works(store.list(&key(owner), after));
    let listed = |after: Option<&Cookie>| {
        let files = list(0, after).expect("it begins at one of its own").files;
        files
            .into_iter()
            .map(|Entry { cookie, size, downloads, .. }| (cookie, size, downloads))
            .collect::<Vec<_>>()
    };
    let expected: Vec<_> = cookies
        .iter()
        .cloned()
        .zip([0, 2, 3, 4])
        .map(|(cookie, size)| (cookie, size, None))
        .collect();
    assert!(listed(None) == expected, "an owner's files are listed, oldest first");
    assert!(listed(Some(&cookies[1])) == expected[2..], "and those after one of them");
    assert!(listed(Some(&cookies[3])).is_empty(), "and none after the last");
    assert!(list(1, Some(&cookies[0])).is_none(), "a list begins at no other's file");
    assert!(
        list(0, Some(&Cookie::from_random([255; 16]))).is_none(),
        "nor at one that is not there"
    );
    assert!(
        list(2, None).is_some_and(|listing| listing.files.is_empty()),
        "who has no files has an empty list"
    );
}

fn a_long_list_comes_in_parts(store: &impl Store) {
    let cookies: Vec<Cookie> =
        (0..=LISTED_AT_ONCE).map(|_| works(put_sealed(store, b""))).collect();
    let first = works(store.list(&key(0), None)).expect("listed");
    assert!(first.more && first.files.len() == LISTED_AT_ONCE, "so many at once");
    let rest =
        works(store.list(&key(0), first.files.last().map(|file| &file.cookie))).expect("listed");
    assert!(!rest.more, "and no more after the last");
    let listed: Vec<_> =
        first.files.into_iter().chain(rest.files).map(|file| file.cookie).collect();
    assert!(listed == cookies, "each of them once");
}

fn users_sign_up_once(store: &impl Store) {
    let name = |name: &str| UserName::parse(name.as_bytes()).expect("a name");
    assert!(works(store.account(&key(0))).is_none(), "nobody is a user unasked");
    works(put_sealed(store, b"before"));
    let Account { name: given, quota: _, used } =
        works(store.sign_up(&key(0), &name("alice"), None));
    assert!((given, used) == (name("alice"), 6 + FILE_CHARGE), "what was stored before counts too");
    let again = works(store.sign_up(&key(0), &name("bob"), None));
    assert!(again.name == name("alice"), "a key has one name");
    let taken = store.sign_up(&key(1), &name("alice"), None);
    assert!(
        taken.is_err_and(|error| error.kind() == StoreErrorKind::NameTaken),
        "a name is one key's"
    );
    assert!(works(store.account(&key(1))).is_none(), "and a refusal makes no user");
    works(store.sign_up(&key(1), &name("bob"), None));
    let cookie = works(put_sealed(store, b"after"));
    assert!(
        works(store.account(&key(0))).is_some_and(|account| account.used == 11 + 2 * FILE_CHARGE),
        "what is stored is counted"
    );
    works(store.remove(&cookie));
    assert!(
        works(store.account(&key(0))).is_some_and(|account| account.used == 6 + FILE_CHARGE),
        "what is removed is not"
    );
    assert!(
        works(store.account(&key(1))).is_some_and(|account| account.used == 0),
        "nor is what others have"
    );
}
