//! Directories that are not as they should be, or that an earlier version has written.

use std::fs;
use std::path::Path;

use fss::store::conformance::{get, key, new_upload, put, put_sealed, write};
use fss::store::{
    EmbeddedStore, Finding, LEASE, NewFile, OpenOptions, Store, StoreErrorKind, Verified,
};
use fss::{Cookie, SequentialCookies};

use super::{HandClock, database, directory, entries, kind, legacy, open, unsettled};

#[test]
fn damaged_and_foreign_databases_are_told_apart_and_left_alone() {
    let directory = directory();
    let database = directory.path().join("fssGlobal.db");
    fs::write(
        &database,
        b"this is no database, and longer than the header of one would be: \0\0\0\0",
    )
    .expect("written");
    let before = fs::read(&database).expect("readable");
    assert_eq!(kind(EmbeddedStore::in_directory(directory.path())), StoreErrorKind::Damaged);
    assert_eq!(fs::read(&database).expect("readable"), before);
    fs::remove_file(&database).expect("removed");
    let other = rusqlite::Connection::open(&database).expect("a database");
    other.execute_batch("CREATE TABLE accounts(name TEXT)").expect("created");
    drop(other);
    let error = EmbeddedStore::in_directory(directory.path()).expect_err("it is of something else");
    assert_eq!(error.kind(), StoreErrorKind::Foreign);
    assert!(error.to_string().contains("fssGlobal.db is a database of something else"), "{error}");
    let tables: i64 = rusqlite::Connection::open(&database)
        .and_then(|database| {
            database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        })
        .expect("a database");
    assert_eq!(tables, 1);
}

#[test]
fn records_that_lead_astray_are_damage_and_not_followed() {
    let directory = directory();
    drop(open(directory.path()));
    fs::create_dir(directory.path().join("F-5")).expect("created");
    fs::write(directory.path().join("F-5/H"), [0; 48]).expect("written");
    std::os::unix::fs::symlink("/etc/passwd", directory.path().join("F-5/F")).expect("linked");
    fs::create_dir(directory.path().join("F-6")).expect("created");
    fs::write(directory.path().join("F-6/F"), b"").expect("written");
    fs::write(directory.path().join("F-6/H"), [0; 47]).expect("written");
    let database =
        rusqlite::Connection::open(directory.path().join("fssGlobal.db")).expect("a database");
    for (cookie, path) in
        [(1, "../elsewhere"), (2, "/etc"), (3, "F-gone"), (4, "F-1/../.."), (5, "F-5"), (6, "F-6")]
    {
        database
            .execute("INSERT INTO stored VALUES (?1, ?2, '2019-01-01')", (cookie.to_string(), path))
            .expect("inserted");
    }
    drop(database);
    let store = open(directory.path());
    for cookie in 1..=6 {
        assert!(
            matches!(store.open(&Cookie::from_index(cookie)).map(drop), Err(error) if error.kind() != StoreErrorKind::Full),
            "{cookie}"
        );
    }
    fs::create_dir(directory.path().join("F-1")).expect("created");
    for cookie in 1..=6 {
        assert_eq!(
            store.remove(&Cookie::from_index(cookie)),
            Ok(true),
            "a bad record can be got rid of"
        );
    }
    drop(store);
    assert_eq!(open(directory.path()).count(), Ok(0));
    assert!(
        directory.path().join("F-1").exists() && Path::new("/etc/passwd").exists(),
        "what is not ours is left alone"
    );
}

#[test]
fn a_directory_that_cannot_be_made_says_so() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, b"").expect("written");
    let error =
        EmbeddedStore::in_directory(&file.join("inside")).expect_err("a file has nothing inside");
    assert!(error.to_string().contains("cannot create"), "{error}");
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).expect("created");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// What 2019 stored has no digest.
#[test]
fn verify_knows_files_that_were_stored_before_there_were_digests() {
    let directory = directory();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1/server-dir");
    copy(&recorded, directory.path());
    let store = open(directory.path());
    let old = u64::try_from(store.count().expect("counted")).expect("few");
    assert!(old > 0);
    put(&store, b"new").expect("stored");
    assert_eq!(
        store.verify(|_, _| ()),
        Ok(Verified { whole: 1, unrecorded: old, damaged: 0, ..Verified::default() })
    );
}

/// What takes a cookie's name after it was reserved is not ours, whatever created it.
#[test]
fn a_directory_that_appears_under_a_reserved_name_is_left_alone() {
    let directory = directory();
    let store = OpenOptions::default()
        .cookies(SequentialCookies)
        .open(directory.path())
        .expect("the store opens");
    let upload = store.create(&legacy()).expect("created");
    fs::create_dir(directory.path().join("F-1")).expect("created");
    fs::write(directory.path().join("F-1/F"), b"not ours").expect("written");
    assert_eq!(kind(upload.commit()), StoreErrorKind::Exists);
    drop(store);
    drop(open(directory.path()));
    assert_eq!(entries(directory.path()), ["F-1"]);
}

/// Every file is compared with its record: a flipped bit, a byte too few or too many, and a missing
/// file are found.
#[test]
fn verify_finds_what_is_damaged_and_nothing_else() {
    let directory = directory();
    let store = open(directory.path());
    let content: Vec<u8> = (0..200_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let cookies: Vec<Cookie> = (0..5).map(|_| put(&store, &content).expect("stored")).collect();
    put(&store, b"").expect("stored");
    assert_eq!(
        store.verify(|_, _| ()),
        Ok(Verified { whole: 6, unrecorded: 0, damaged: 0, ..Verified::default() })
    );
    let path = |index: usize| directory.path().join(format!("F-{}/F", cookies[index]));
    let mut flipped = content.clone();
    flipped[199_999] ^= 0x80;
    fs::write(path(0), &flipped).expect("written");
    fs::write(path(1), &content[..199_999]).expect("written");
    fs::write(path(2), [content.as_slice(), b"x"].concat()).expect("written");
    fs::remove_file(path(3)).expect("removed");
    let mut damaged = Vec::new();
    let verified = store.verify(|cookie, finding| match finding {
        Finding::Damaged(error) if error.kind() == StoreErrorKind::Damaged => {
            damaged.push(cookie.clone());
        }
        finding => assert_eq!(*finding, Finding::Intact),
    });
    assert_eq!(
        verified,
        Ok(Verified { whole: 2, unrecorded: 0, damaged: 4, ..Verified::default() })
    );
    assert_eq!(damaged, cookies[..4]);
}

/// The header of a sealed file is compared too, and so is its size whenever it is opened.
#[test]
fn verify_finds_what_is_damaged_in_a_sealed_file() {
    let directory = directory();
    let store = open(directory.path());
    let content = vec![7; 100_000];
    let cookies: Vec<Cookie> =
        (0..6).map(|_| put_sealed(&store, &content).expect("stored")).collect();
    assert_eq!(
        store.verify(|_, _| ()),
        Ok(Verified { whole: 6, unrecorded: 0, damaged: 0, ..Verified::default() })
    );
    let path = |index: usize| directory.path().join(format!("F-{}/F", cookies[index]));
    let stored = fs::read(path(0)).expect("readable");
    let flipped = |at: usize| {
        let mut flipped = stored.clone();
        flipped[at] ^= 1;
        flipped
    };
    fs::write(path(0), flipped(63)).expect("written");
    fs::write(path(1), flipped(64)).expect("written");
    fs::write(path(2), flipped(100_063)).expect("written");
    fs::write(path(3), &stored[..63]).expect("written");
    fs::write(path(4), &stored[..100_063]).expect("written");
    let mut damaged = Vec::new();
    let verified = store.verify(|cookie, finding| {
        if matches!(finding, Finding::Damaged(error) if error.kind() == StoreErrorKind::Damaged) {
            damaged.push(cookie.clone());
        }
    });
    assert_eq!(
        (verified, &damaged[..]),
        (
            Ok(Verified { whole: 1, unrecorded: 0, damaged: 5, ..Verified::default() }),
            &cookies[..5]
        )
    );
    for cookie in &cookies[3..5] {
        assert_eq!(
            kind(store.open(cookie).map(drop)),
            StoreErrorKind::Damaged,
            "it is not the size that it was"
        );
    }
    database(directory.path())
        .execute("UPDATE fss_file SET header = x'00'", [])
        .expect("our table");
    assert_eq!(kind(store.open(&cookies[5]).map(drop)), StoreErrorKind::Damaged);
    assert_eq!(store.verify(|_, _| ()).map(|verified| verified.damaged), Ok(6));
    assert_eq!(store.clean(), Ok(6), "and can be got rid of");
}

/// The table of 2019 is what it was, and its rows are what 2019 code would have written, sealed
/// files included.
#[test]
fn the_table_of_2019_stays_readable() {
    let directory = directory();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1/server-dir");
    copy(&recorded, directory.path());
    let rows = || -> Vec<(String, String, String)> {
        let database = database(directory.path());
        let mut rows =
            database.prepare("SELECT * FROM stored ORDER BY rowid").expect("the 2019 table");
        let rows = rows
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .expect("only its columns");
        rows.collect::<Result<_, _>>().expect("readable")
    };
    let schema = || -> String {
        let schema = "SELECT sql FROM sqlite_schema WHERE name = 'stored'";
        database(directory.path()).query_row(schema, [], |row| row.get(0)).expect("there")
    };
    let (rows_before, schema_before) = (rows(), schema());
    let store = open(directory.path());
    let cookie = put_sealed(&store, b"sealed").expect("stored");
    let pending =
        store.create(&NewFile::Sealed { upload: new_upload(b""), owner: key(0) }).expect("created");
    let rows_after = rows();
    assert_eq!(rows_after[..rows_before.len()], rows_before);
    let [(new, path, date)] = &rows_after[rows_before.len()..] else {
        panic!("one row for one file, none for a pending one")
    };
    assert_eq!(
        (new.as_str(), path.as_str(), date.len()),
        (cookie.as_str(), &*format!("F-{cookie}"), 10)
    );
    assert_eq!(schema(), schema_before, "never altered");
    drop((pending, store));
    // What 2019 code does: it inserts and deletes, and knows nothing of the side tables.
    let database = database(directory.path());
    database
        .execute("INSERT INTO stored VALUES ('1', 'F-1', '2019-01-01')", [])
        .expect("the old insert works");
    database
        .execute("DELETE FROM stored WHERE cookie = ?1", [cookie.as_str()])
        .expect("and the old delete");
    drop(database);
    let store = open(directory.path());
    assert_eq!(store.list(&key(0), None).map(|list| list.expect("listed").files), Ok(vec![]));
    assert_eq!(store.count(), Ok(rows_before.len() + 1));
}

/// A name that is taken at its commit leaves a sealed upload pending, and what has the name is
/// never touched.
#[test]
fn a_pending_upload_leaves_what_has_its_name_alone() {
    let directory = directory();
    let clock = HandClock::default();
    let options = || OpenOptions::default().cookies(SequentialCookies).clock(clock.clone());
    let store = options().open(directory.path()).expect("the store opens");
    let file = NewFile::Sealed { upload: new_upload(b"x"), owner: key(0) };
    let mut upload = store.create(&file).expect("created");
    write(&mut *upload, 0, b"x").expect("written");
    fs::create_dir(directory.path().join("F-1")).expect("created");
    fs::write(directory.path().join("F-1/F"), b"not ours").expect("written");
    for _ in 0..2 {
        let cookie = upload.cookie().clone();
        assert_eq!(kind(upload.commit()), StoreErrorKind::Exists);
        assert!(store.find_upload(&cookie).expect("readable").is_some(), "it is still pending");
        upload = store
            .resume(&cookie, 0)
            .expect("readable")
            .and_then(|resumed| resumed.upload)
            .expect("it goes on");
        write(&mut *upload, 0, b"x").expect("written");
    }
    drop((upload, store));
    clock.advance(LEASE.as_secs());
    drop(options().open(directory.path()).expect("the store opens"));
    assert_eq!(
        (entries(directory.path()), unsettled(directory.path())),
        (vec!["F-1".to_owned()], 0)
    );
    assert_eq!(fs::read(directory.path().join("F-1/F")).expect("readable"), b"not ours");
}

/// What is in the staging directory and no upload's is removed, whatever it is; what is elsewhere
/// is not.
#[test]
fn the_staging_directory_is_swept() {
    let directory = directory();
    drop(open(directory.path()));
    let incoming = directory.path().join(".incoming");
    fs::create_dir_all(incoming.join("F-5/inside")).expect("created");
    fs::write(incoming.join("F-6"), b"").expect("written");
    fs::write(directory.path().join("elsewhere"), b"").expect("written");
    std::os::unix::fs::symlink(directory.path(), incoming.join("F-7")).expect("linked");
    drop(open(directory.path()));
    assert_eq!(entries(directory.path()), ["elsewhere"]);
    fs::remove_dir(&incoming).expect("it is empty");
    let outside = super::directory();
    std::os::unix::fs::symlink(outside.path(), &incoming).expect("linked");
    assert_eq!(kind(EmbeddedStore::in_directory(directory.path())), StoreErrorKind::Foreign);
}

/// A directory from elsewhere: what its schema would have SQLite do is not done.
#[test]
fn triggers_and_views_of_a_foreign_database_do_not_run() {
    let directory = directory();
    let path = directory.path().join("fssGlobal.db");
    let cookie = put(&open(directory.path()), b"kept").expect("stored");
    let hostile = rusqlite::Connection::open(&path).expect("a database");
    hostile
        .execute_batch(
            "CREATE TABLE loot(text);
            CREATE TRIGGER stored_in AFTER INSERT ON stored BEGIN INSERT INTO loot VALUES (new.path); DELETE FROM stored; END;
            CREATE TRIGGER stored_out BEFORE DELETE ON stored BEGIN SELECT raise(ABORT, 'kept'); END;
            CREATE TRIGGER file_in AFTER INSERT ON fss_file BEGIN UPDATE fss_file SET expires = 1; END;",
        )
        .expect("created");
    drop(hostile);
    let store = open(directory.path());
    let more = put(&store, b"more").expect("stored");
    assert_eq!(get(&store, &more), Ok(Some(b"more".to_vec())));
    assert_eq!(get(&store, &cookie), Ok(Some(b"kept".to_vec())));
    assert_eq!(store.remove(&cookie), Ok(true));
    drop(store);
    let loot = rusqlite::Connection::open(&path).expect("a database");
    assert_eq!(loot.query_row("SELECT count(*) FROM loot", [], |row| row.get(0)), Ok(0));
    drop(loot);
}

#[test]
fn what_only_looks_like_the_table_of_2019_is_foreign() {
    for stored in [
        "CREATE VIEW stored AS SELECT '1' AS cookie, 'F-1' AS path, '2019-01-01' AS date",
        "CREATE TABLE stored(cookie text, path text, date text, more text AS (hex(randomblob(9))))",
        "CREATE VIRTUAL TABLE stored USING fts5(cookie, path, date)",
    ] {
        let directory = directory();
        let hostile =
            rusqlite::Connection::open(directory.path().join("fssGlobal.db")).expect("a database");
        // SQLite may have been built without such tables.
        if hostile.execute_batch(&format!("CREATE TABLE other(x); {stored}")).is_err() {
            continue;
        }
        drop(hostile);
        assert_eq!(
            kind(EmbeddedStore::in_directory(directory.path())),
            StoreErrorKind::Foreign,
            "{stored}"
        );
    }
}

/// A power failure may keep the staged name of a file whose record exists, alongside its own or
/// alone. A pending upload may have both names too.
#[test]
fn a_staged_blob_that_a_record_names_is_published_and_never_removed() {
    let directory = directory();
    let store = open(directory.path());
    let cookies: Vec<Cookie> =
        (0..2).map(|_| put_sealed(&store, b"acknowledged").expect("stored")).collect();
    drop(store);
    let places = |cookie: &Cookie| {
        let name = format!("F-{cookie}");
        (directory.path().join(".incoming").join(&name), directory.path().join(name))
    };
    let (staged, published) = places(&cookies[0]);
    fs::rename(published, staged).expect("renamed");
    let (staged, published) = places(&cookies[1]);
    fs::create_dir(&staged).expect("created");
    copy(&published, &staged);
    for _ in 0..2 {
        let store = open(directory.path());
        for cookie in &cookies {
            assert_eq!(get(&store, cookie), Ok(Some(b"acknowledged".to_vec())));
        }
        assert_eq!(store.verify(|_, _| ()).map(|verified| verified.whole), Ok(2));
    }
}

/// Two names of one directory, as some file systems have after a power cut. Only a mount can make
/// that here.
#[test]
fn a_directory_with_both_names_is_one_file() {
    let directory = directory();
    let store = open(directory.path());
    let cookie = put_sealed(&store, b"acknowledged").expect("stored");
    drop(store);
    let name = format!("F-{cookie}");
    let (staged, published) =
        (directory.path().join(".incoming").join(&name), directory.path().join(name));
    fs::create_dir(&staged).expect("created");
    let mount = |arguments: &[&std::ffi::OsStr]| {
        let mounted = std::process::Command::new("mount").args(arguments).output();
        mounted.is_ok_and(|output| output.status.success())
    };
    if !mount(&["--bind".as_ref(), published.as_os_str(), staged.as_os_str()]) {
        eprintln!("skipped: nothing can be mounted here");
        return;
    }
    let found = {
        let store = open(directory.path());
        get(&store, &cookie)
    };
    let unmounted = std::process::Command::new("umount").arg(&staged).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    assert_eq!(found, Ok(Some(b"acknowledged".to_vec())));
    assert_eq!(get(&open(directory.path()), &cookie), Ok(Some(b"acknowledged".to_vec())));
}
