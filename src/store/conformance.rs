//! The tests that any storage backend must pass: call [`check`] from a test of the backend.
//!
//! ```
//! fss::store::conformance::check(fss::MemoryStore::new);
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use bytes::Bytes;

use super::{Store, StoreError};
use crate::cookie::Cookie;
use crate::crypto::legacy::Verifier;

/// Checks the contract of [`Store`] on stores that `new` makes, each of them empty.
///
/// # Panics
/// With what is wrong, if the backend breaks the contract.
pub fn check<S: Store>(new: impl Fn() -> S) {
    for size in [0, 1, 15, 16, 17, 1023, 1024, 1025, 100_000] {
        a_file_comes_back(&new(), size);
    }
    a_file_is_invisible_until_committed(&new());
    an_abandoned_upload_leaves_nothing(&new());
    a_write_must_follow_the_one_before(&new());
    a_removed_file_is_gone_but_can_be_read_to_its_end(&new());
    a_read_beyond_the_end_is_an_error(&new());
    cookies_are_never_the_same(&new());
    many_threads_do_not_disturb_each_other(&new());
}

/// Stores a file in writes of 1000 bytes.
///
/// # Errors
/// Those of the store.
pub fn put(store: &impl Store, content: &[u8]) -> Result<Cookie, StoreError> {
    let mut upload = store.create(&verifier(content))?;
    for (i, piece) in content.chunks(1000).enumerate() {
        upload.write(i as u64 * 1000, Bytes::copy_from_slice(piece))?;
    }
    let cookie = upload.cookie().clone();
    upload.commit()?;
    Ok(cookie)
}

/// Reads a whole file in reads of 700 bytes and checks its verifier; `None` if it is not there.
///
/// # Errors
/// Those of the store.
///
/// # Panics
/// If the verifier is not the one that [`put`] stored.
pub fn get(store: &impl Store, cookie: &Cookie) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(mut download) = store.open(cookie)? else { return Ok(None) };
    let size = download.size();
    let mut content = Vec::new();
    while (content.len() as u64) < size {
        let offset = content.len() as u64;
        let length = usize::try_from(size - offset).map_or(700, |rest| rest.min(700));
        content.extend_from_slice(&download.read(offset, length)?);
    }
    assert!(*download.verifier() == verifier(&content), "the verifier comes back");
    Ok(Some(content))
}

fn verifier(content: &[u8]) -> Verifier {
    let mut bytes = [0; Verifier::LENGTH];
    bytes[..8].copy_from_slice(&(content.len() as u64).to_be_bytes());
    bytes[8] = content.first().copied().unwrap_or(0);
    Verifier::from_bytes(bytes)
}

fn content(size: usize) -> Vec<u8> {
    (0..251).cycle().take(size).collect()
}

fn works<T>(result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| panic!("the store fails: {error}"))
}

fn a_file_comes_back(store: &impl Store, size: usize) {
    let cookie = works(put(store, &content(size)));
    assert!(works(get(store, &cookie)) == Some(content(size)), "a file of {size} bytes comes back whole");
    let download = works(store.open(&cookie)).expect("it is there");
    works(download.delivered());
    assert!(works(get(store, &cookie)).is_some(), "a file that is kept for ever outlives its delivery");
}

fn a_file_is_invisible_until_committed(store: &impl Store) {
    let mut upload = works(store.create(&verifier(b"x")));
    works(upload.write(0, Bytes::from_static(b"x")));
    let cookie = upload.cookie().clone();
    assert!(works(store.open(&cookie)).is_none(), "a file is invisible before its commit");
    assert!(!works(store.remove(&cookie)), "a file that is invisible cannot be removed");
    works(upload.commit());
    assert!(works(get(store, &cookie)).is_some(), "a file is visible after its commit");
}

fn an_abandoned_upload_leaves_nothing(store: &impl Store) {
    let mut upload = works(store.create(&verifier(b"x")));
    works(upload.write(0, Bytes::from_static(b"x")));
    let cookie = upload.cookie().clone();
    drop(upload);
    assert!(works(store.open(&cookie)).is_none(), "an abandoned upload leaves no file");
}

fn a_write_must_follow_the_one_before(store: &impl Store) {
    let mut upload = works(store.create(&verifier(b"x")));
    works(upload.write(0, Bytes::from_static(b"abc")));
    assert!(upload.write(2, Bytes::from_static(b"x")).is_err(), "an overlapping write is refused");
    assert!(upload.write(4, Bytes::from_static(b"x")).is_err(), "a write that leaves a gap is refused");
}

fn a_removed_file_is_gone_but_can_be_read_to_its_end(store: &impl Store) {
    let cookie = works(put(store, &content(5000)));
    let mut open = works(store.open(&cookie)).expect("it is there");
    assert!(works(store.remove(&cookie)), "a file that is there is removed");
    assert!(!works(store.remove(&cookie)), "a file is removed once");
    assert!(works(store.open(&cookie)).is_none(), "a removed file cannot be opened");
    assert!(works(open.read(0, 5000)) == content(5000), "a file that was opened before can be read");
    assert!(works(get(store, &works(put(store, b"next")))).is_some(), "the store goes on");
}

fn a_read_beyond_the_end_is_an_error(store: &impl Store) {
    let cookie = works(put(store, &content(10)));
    let mut open = works(store.open(&cookie)).expect("it is there");
    assert!(open.read(5, 6).is_err(), "a read across the end is refused");
    assert!(open.read(u64::MAX, 1).is_err(), "a read far beyond the end is refused");
    assert!(works(open.read(10, 0)).is_empty(), "an empty read at the end is fine");
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
    assert!(works(store.open(&Cookie::from_random([255; 16]))).is_none(), "an unknown cookie has no file");
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
                    assert!(files.lock().expect("no test thread panicked").insert(cookie, content).is_none());
                }
            });
        }
    });
    for (cookie, content) in files.lock().expect("no test thread panicked").iter() {
        assert!(works(get(store, cookie)).as_ref() == Some(content), "what a thread stored comes back");
    }
}
