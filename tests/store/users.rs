//! Users, invites, and servers for members only.

use fss::SystemRng;
use fss::store::conformance::{key, new_upload, put, put_sealed};
use fss::store::{
    FILE_CHARGE, Invite, NewFile, OpenOptions, Store, StoreErrorKind, UserName, Users,
};
use fss::{SystemClock, WallClock as _};

use super::{HandClock, database, directory, entries, kind, legacy, open};

fn name(name: &str) -> UserName {
    UserName::parse(name.as_bytes()).expect("a name")
}

/// Administration works alongside a running server, and only in a server directory.
#[test]
fn the_operator_keeps_the_users() {
    let directory = directory();
    let missing = Users::open(directory.path()).expect_err("there is no database");
    assert_eq!(missing.kind(), StoreErrorKind::Foreign);
    assert!(missing.to_string().contains("no server directory"), "{missing}");
    assert_eq!(
        std::fs::read_dir(directory.path()).expect("readable").count(),
        0,
        "and none is made"
    );
    let store = open(directory.path());
    let users = Users::open(directory.path()).expect("there is a database");
    assert_eq!(users.list(), Ok(vec![]));
    users.add(&key(0), &name("bob"), Some(10)).expect("added");
    users.add(&key(1), &name("alice"), None).expect("added");
    assert_eq!(
        users.add(&key(2), &name("bob"), None).map_err(|error| error.kind()),
        Err(StoreErrorKind::NameTaken)
    );
    assert_eq!(
        users.add(&key(0), &name("carol"), None).map_err(|error| error.kind()),
        Err(StoreErrorKind::Exists)
    );
    assert_eq!(kind(put_sealed(&store, b"more than ten bytes")), StoreErrorKind::Quota);
    assert_eq!(users.set_quota(&name("bob"), Some(30 << 20)), Ok(true));
    assert_eq!(users.set_quota(&name("carol"), None), Ok(false));
    put_sealed(&store, b"more than ten bytes").expect("stored");
    let listed: Vec<_> = users
        .list()
        .expect("readable")
        .into_iter()
        .map(|user| (user.name, user.key, user.quota, user.used))
        .collect();
    assert_eq!(
        listed,
        [(name("alice"), key(1), None, 0), (name("bob"), key(0), Some(30 << 20), 19 + FILE_CHARGE)]
    );
    assert_eq!((users.remove(&name("bob")), users.remove(&name("bob"))), (Ok(true), Ok(false)));
    assert_eq!(store.account(&key(0)), Ok(None));
    assert_eq!(
        store.list(&key(0), None).map(|list| list.expect("listed").files.len()),
        Ok(1),
        "its files stay"
    );
    assert_eq!(store.account(&key(1)).map(|account| account.expect("a user").quota), Ok(None));
}

#[test]
fn invites_are_good_once() {
    let directory = directory();
    let store =
        OpenOptions::default().members_only(true).open(directory.path()).expect("the store opens");
    let users = Users::open(directory.path()).expect("there is a database");
    let invite = users.invite(&mut SystemRng, Some(1000)).expect("made");
    let unknown = Invite::from_bytes([7; 32]);
    let sign_up = |number, text, invite| store.sign_up(&key(number), &name(text), invite);
    assert_eq!(kind(sign_up(0, "alice", None)), StoreErrorKind::BadInvite, "members need one");
    assert_eq!(kind(sign_up(0, "alice", Some(&unknown))), StoreErrorKind::BadInvite);
    users.add(&key(1), &name("bob"), None).expect("added");
    assert_eq!(
        kind(sign_up(0, "bob", Some(&invite))),
        StoreErrorKind::NameTaken,
        "which does not use it up"
    );
    assert_eq!(
        sign_up(1, "carol", Some(&invite)).map(|account| account.name),
        Ok(name("bob")),
        "nor does a user"
    );
    let account = sign_up(0, "alice", Some(&invite)).expect("a good invite");
    assert_eq!((account.name, account.quota, account.used), (name("alice"), Some(1000), 0));
    assert_eq!(
        kind(sign_up(2, "carol", Some(&invite))),
        StoreErrorKind::BadInvite,
        "it is used up"
    );
    assert_eq!(sign_up(0, "alice", Some(&invite)).map(|account| account.quota), Ok(Some(1000)));

    let kept = users.invite(&mut SystemRng, None).expect("made");
    let token: Vec<u8> = database(directory.path())
        .query_row("SELECT token FROM fss_invite", [], |row| row.get(0))
        .expect("one invite");
    assert!(
        token.len() == 48 && !token.windows(32).any(|window| window == kept.expose()),
        "only a hash is kept"
    );
}

/// On a server that is open an invite brings its quota, and a bad one is refused all the same.
#[test]
fn invites_are_good_for_seven_days_on_open_servers_too() {
    const WEEK: u64 = 7 * 24 * 60 * 60;
    let directory = directory();
    let clock = HandClock::default();
    let store = OpenOptions::default()
        .clock(clock.clone())
        .open(directory.path())
        .expect("the store opens");
    let users = Users::open(directory.path()).expect("there is a database");
    let [first, second] =
        [Some(5), None].map(|quota| users.invite(&mut SystemRng, quota).expect("made"));
    clock.advance(SystemClock.unix_seconds() + WEEK - 60);
    assert_eq!(
        store.sign_up(&key(0), &name("alice"), Some(&first)).map(|account| account.quota),
        Ok(Some(5))
    );
    clock.advance(61);
    assert_eq!(
        kind(store.sign_up(&key(1), &name("bob"), Some(&second))),
        StoreErrorKind::BadInvite
    );
    assert_eq!(store.account(&key(1)), Ok(None));
    assert!(store.sign_up(&key(1), &name("bob"), None).is_ok(), "nobody needs one");
}

#[test]
fn strangers_may_only_download_and_delete_where_there_are_members() {
    let directory = directory();
    let (old, sealed) = {
        let store = open(directory.path());
        (
            put(&store, b"of before").expect("stored"),
            put_sealed(&store, b"of before").expect("stored"),
        )
    };
    let store =
        OpenOptions::default().members_only(true).open(directory.path()).expect("the store opens");
    let file = NewFile::Sealed { upload: new_upload(b""), owner: key(0) };
    assert_eq!(kind(store.create(&file).map(drop)), StoreErrorKind::NotAMember);
    assert_eq!(kind(store.create(&legacy()).map(drop)), StoreErrorKind::NotAMember);
    assert_eq!(kind(store.list(&key(0), None)), StoreErrorKind::NotAMember);
    assert!(
        store.open(&old).expect("readable").is_some()
            && store.open(&sealed).expect("readable").is_some()
    );
    assert_eq!(store.account(&key(0)), Ok(None));
    Users::open(directory.path())
        .and_then(|users| users.add(&key(0), &name("alice"), None))
        .expect("added");
    assert!(store.create(&file).and_then(fss::store::FileWriter::commit).is_ok());
    assert_eq!(store.list(&key(0), None).map(|list| list.expect("listed").files.len()), Ok(2));
    assert_eq!(
        kind(store.create(&legacy()).map(drop)),
        StoreErrorKind::NotAMember,
        "1.0 proves no key"
    );
    assert_eq!((store.remove(&old), entries(directory.path()).len()), (Ok(true), 2));
}
