//! A client's profile: passwords that change and cuts in between, profiles of before, journals,
//! known servers, and databases that were tampered with.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fss::chain::{CHECKPOINT, ChainDigest};
use fss::crypto::{Fingerprint, aws_lc::AwsLc};
use fss::key_file::{KeyDirectory, KeyEncoding, KeyFileErrorKind, KeyRole};
use fss::profile::{
    Checkpoint, DownloadRecord, Downloads, FileRecord, Format, PasswordId, Passwords, Profile,
    ProfileError, ProtocolVersion, SourceIdentity, UploadRecord,
};
use fss::sealed::{Cost, Header};
use fss::store::{StoreError, StoreErrorKind};
use fss::{OpaqueCookie, Password, SystemRng};
use fss_test_support::keys;
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

/// Holds back the last step of a change of password: rings that something refers to are not
/// deleted. (Triggers of a database do not run.)
const CUT: &str = "PRAGMA foreign_keys = OFF; CREATE TABLE cut(generation INTEGER REFERENCES fss_ring(generation));
    INSERT INTO cut VALUES (0), (1), (2), (3)";

const RECORDED_PASSWORD: &str = "correct horse battery staple";

fn directory() -> TempDir {
    tempdir().expect("a directory")
}

fn open(directory: &TempDir) -> Profile {
    Profile::open(directory.path()).expect("it opens")
}

fn database(directory: &TempDir) -> Connection {
    Connection::open(directory.path().join("fssLocal.db")).expect("a database")
}

fn password(text: &str) -> Password {
    Password::new(text).expect("valid")
}

fn cookie(text: &str) -> OpaqueCookie {
    OpaqueCookie::parse(text.as_bytes()).expect("valid")
}

fn header() -> Header {
    Header::new(Cost::DEFAULT, &mut SystemRng)
}

fn chain(byte: u8) -> ChainDigest {
    ChainDigest::from_bytes([byte; 32])
}

/// A profile in the modern form with a password and one file, of FSS 1.0.
fn profile(with: &str) -> (TempDir, Profile) {
    let directory = directory();
    let profile = open(&directory);
    profile.create_key(KeyEncoding::Modern, &password(with), &AwsLc).expect("made");
    profile.files().insert(&FileRecord::new(cookie("1"), "first", 1)).expect("inserted");
    (directory, profile)
}

fn unlocked(profile: &Profile, with: &str) -> Passwords {
    profile.unlock(&password(with), &AwsLc).expect("it opens").passwords
}

fn known(passwords: &Passwords, id: PasswordId) -> Option<String> {
    let found = passwords.password_of(id).expect("readable");
    found.map(|password| String::from_utf8(password.expose().to_vec()).expect("text"))
}

fn rings(directory: &TempDir) -> Vec<u32> {
    let database = database(directory);
    let mut statement =
        database.prepare("SELECT generation FROM fss_ring ORDER BY generation").expect("valid");
    statement
        .query_map([], |row| row.get(0))
        .expect("readable")
        .map(|row| row.expect("a number"))
        .collect()
}

/// The table of 2019 to the letter, with all that is in it.
fn table_of_2019(directory: &TempDir) -> Vec<String> {
    let database = database(directory);
    let text = "SELECT sql FROM sqlite_schema WHERE name = 'cookies'
                UNION ALL SELECT rowid || quote(cookie) || quote(name) || quote(size) || quote(date) FROM cookies";
    let mut statement = database.prepare(text).expect("valid");
    statement
        .query_map([], |row| row.get(0))
        .expect("readable")
        .map(|row| row.expect("text"))
        .collect()
}

fn recorded_profile() -> TempDir {
    let (directory, recorded) =
        (directory(), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1/client-dir"));
    for name in [".pk", ".vh", "fssLocal.db"] {
        fs::copy(recorded.join(name), directory.path().join(name)).expect("copied");
    }
    directory
}

fn is_wrong_password<T>(result: Result<T, ProfileError>) -> bool {
    matches!(result, Err(ProfileError::Key(error)) if matches!(error.kind, KeyFileErrorKind::WrongCode))
}

#[test]
fn a_change_of_password_strands_nothing() {
    let (directory, profile) = profile("zero");
    profile.change_password(&password("zero"), &password("one")).expect("changed");
    profile.change_password(&password("one"), &password("two = 2")).expect("changed");
    assert!(is_wrong_password(profile.unlock(&password("one"), &AwsLc)));
    assert!(is_wrong_password(profile.change_password(&password("one"), &password("three"))));
    assert_eq!(rings(&directory), [2]);
    let passwords = unlocked(&open(&directory), "two = 2");
    assert_eq!(passwords.present().expose(), b"two = 2");
    let first = open(&directory).files().list().expect("listed").remove(0).password;
    assert_eq!(known(&passwords, first).as_deref(), Some("zero"));
    assert_eq!(known(&passwords, passwords.present_id()).as_deref(), Some("two = 2"));
    profile.change_password(&password("two = 2"), &password("three")).expect("changed");
    let later = unlocked(&profile, "three");
    assert_eq!(known(&later, passwords.present_id()).as_deref(), Some("two = 2"));
    assert_eq!(
        known(&passwords, later.present_id()),
        None,
        "who was there before goes on with what it knew"
    );
    let ids = [first, passwords.present_id(), later.present_id()];
    let salts = ids.map(|id| *later.salt_of(id).expect("known"));
    assert!(salts[0] != salts[1] && salts[1] != salts[2], "no two passwords share a salt");
    assert_eq!(passwords.salt_of(first), Some(&salts[0]));
    for former in ["zero", "one", "two = 2", "three"] {
        let refused = profile.change_password(&password("three"), &password(former));
        assert!(matches!(refused, Err(ProfileError::PasswordUsedBefore)), "{former}");
    }
    assert_eq!(format!("{passwords:?}"), "Passwords(..)");
    assert!(!format!("{:?}", profile.unlock(&password("three"), &AwsLc)).contains("three"));
}

/// The steps are: the new ring, the key, the old ring. Of each change the second and the third are
/// held back in turn.
#[test]
fn a_change_of_password_that_is_cut_short_loses_nothing() {
    for earlier in [None, Some("earlier")] {
        for key_is_changed in [false, true] {
            let (directory, profile) = profile(earlier.unwrap_or("old"));
            if let Some(earlier) = earlier {
                profile.change_password(&password(earlier), &password("old")).expect("changed");
            }
            let key = directory.path().join(".pk");
            let old_key = fs::read(&key).expect("readable");
            database(&directory).execute_batch(CUT).expect("made");
            assert!(profile.change_password(&password("old"), &password("new")).is_err());
            assert_eq!(rings(&directory).len(), 2);
            database(&directory)
                .execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE cut")
                .expect("dropped");
            if !key_is_changed {
                fs::write(&key, old_key).expect("written");
            }
            let (right, wrong) = if key_is_changed { ("new", "old") } else { ("old", "new") };
            assert!(is_wrong_password(profile.unlock(&password(wrong), &AwsLc)));
            assert_eq!(rings(&directory).len(), 2, "who does not open the key drops nothing");
            let passwords = unlocked(&open(&directory), right);
            assert_eq!(known(&passwords, passwords.present_id()).as_deref(), Some(right));
            assert_eq!(
                known(&passwords, PasswordId::FIRST).as_deref(),
                Some(earlier.unwrap_or("old"))
            );
            assert_eq!(rings(&directory).len(), 1);
            profile.change_password(&password(right), &password("last")).expect("changed");
            let passwords = unlocked(&profile, "last");
            assert_eq!(
                known(&passwords, PasswordId::FIRST).as_deref(),
                Some(earlier.unwrap_or("old"))
            );
        }
    }
}

#[test]
fn former_passwords_that_do_not_open_are_told_and_given_up_only_when_nothing_needs_them() {
    let (directory, profile) = profile("old");
    profile.change_password(&password("old"), &password("new")).expect("changed");
    for damage in [
        "x'00'",
        "zeroblob(64)",
        "zeroblob(5000)",
        "substr(sealed, 1, 64)",
        "substr(sealed, 1, length(sealed) - 1)",
    ] {
        database(&directory)
            .execute(&format!("UPDATE fss_ring SET sealed = {damage}"), [])
            .expect("damaged");
        let passwords = unlocked(&profile, "new");
        assert_eq!(passwords.present().expose(), b"new", "what does not need them works");
        assert!(matches!(
            passwords.password_of(PasswordId::FIRST),
            Err(ProfileError::FormerPasswordsDamaged)
        ));
    }
    let changed = profile.change_password(&password("new"), &password("newer"));
    assert!(matches!(changed, Err(ProfileError::FormerPasswordsDamaged)));
    profile.files().clean().expect("cleaned");
    profile.change_password(&password("new"), &password("newer")).expect("changed");
    let passwords = unlocked(&profile, "newer");
    assert_eq!(known(&passwords, PasswordId::FIRST), None);
}

#[test]
fn the_first_use_of_a_password_decides_what_it_is_good_for() {
    let (directory, profile) = profile("old");
    let first = unlocked(&profile, "old").present_id();
    profile.bind_password(first, Format::Sealed).expect("unused until now");
    profile.bind_password(first, Format::Sealed).expect("the same again");
    let sent = open(&directory).bind_password(first, Format::Legacy);
    assert!(matches!(sent, Err(ProfileError::PasswordSealsFiles)));
    profile.change_password(&password("old"), &password("new")).expect("changed");
    let second = unlocked(&profile, "new").present_id();
    profile.bind_password(second, Format::Legacy).expect("unused until now");
    let seals = open(&directory).bind_password(second, Format::Sealed);
    assert!(matches!(seals, Err(ProfileError::PasswordWasSent)));
    profile.files().clean().expect("cleaned");
    assert!(profile.bind_password(first, Format::Legacy).is_err(), "servers still have the files");
    database(&directory).execute("DELETE FROM fss_password", []).expect("deleted");
    assert!(profile.bind_password(second, Format::Legacy).is_err(), "there is no such password");
}

#[test]
fn a_profile_of_2019_takes_the_modern_form_with_a_new_password_and_its_files_keep_the_old_one() {
    let directory = recorded_profile();
    let before = table_of_2019(&directory);
    let profile = open(&directory);
    let (old, new) = (password(RECORDED_PASSWORD), password("new"));
    let first = unlocked(&profile, RECORDED_PASSWORD).present_id();
    assert!(matches!(
        profile.bind_password(first, Format::Sealed),
        Err(ProfileError::PasswordWasSent)
    ));
    assert!(matches!(
        profile.change_password(&old, &new),
        Err(ProfileError::FilesListed { count: 5 })
    ));
    assert!(matches!(profile.modernize(&old, &old), Err(ProfileError::PasswordUsedBefore)));
    assert!(directory.path().join(".vh").exists(), "what is refused changes nothing");
    profile.modernize(&old, &new).expect("changed");
    assert!(!directory.path().join(".vh").exists());
    assert_eq!(
        KeyDirectory::new(directory.path(), KeyRole::Client).encoding().expect("readable"),
        KeyEncoding::Modern
    );
    let unlocked = profile.unlock(&new, &AwsLc).expect("it opens");
    assert_eq!(unlocked.key.public_key(), keys::client(&AwsLc).public_key());
    profile.bind_password(unlocked.passwords.present_id(), Format::Sealed).expect("never sent");
    let files = profile.files().list().expect("listed");
    assert_eq!(files.len(), 5);
    for file in files {
        assert_eq!((file.format, file.header, file.chain), (Format::Legacy, None, None));
        assert_eq!(known(&unlocked.passwords, file.password).as_deref(), Some(RECORDED_PASSWORD));
    }
    profile.change_password(&new, &password("newer")).expect("the modern form has no such rule");
    assert_eq!(table_of_2019(&directory), before);
}

/// Between the steps of the change itself the key takes its new form, still under the old password.
#[test]
fn a_profile_of_2019_that_is_taken_over_half_way_has_not_got_a_new_password() {
    let directory = recorded_profile();
    let profile = open(&directory);
    let files_of_the_key = [".pk", ".vh"].map(|name| directory.path().join(name));
    let old_key = files_of_the_key.each_ref().map(|path| fs::read(path).expect("readable"));
    unlocked(&profile, RECORDED_PASSWORD);
    database(&directory).execute_batch(CUT).expect("made");
    assert!(profile.modernize(&password(RECORDED_PASSWORD), &password("new")).is_err());
    database(&directory)
        .execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE cut")
        .expect("dropped");
    for (path, bytes) in files_of_the_key.iter().zip(old_key) {
        fs::write(path, bytes).expect("written");
    }
    let key = KeyDirectory::new(directory.path(), KeyRole::Client);
    key.upgrade(&password(RECORDED_PASSWORD), &mut SystemRng).expect("upgraded");
    let passwords = unlocked(&profile, RECORDED_PASSWORD);
    assert_eq!(passwords.present_id(), PasswordId::FIRST);
    assert!(matches!(
        profile.bind_password(PasswordId::FIRST, Format::Sealed),
        Err(ProfileError::PasswordWasSent)
    ));
    profile.modernize(&password(RECORDED_PASSWORD), &password("new")).expect("changed");
    assert_eq!(
        known(&unlocked(&profile, "new"), PasswordId::FIRST).as_deref(),
        Some(RECORDED_PASSWORD)
    );
}

/// As 2019 code does while no file is listed, without knowing of the ring.
#[test]
fn a_profile_of_2019_changes_its_password_as_ever_while_nothing_is_listed() {
    let directory = recorded_profile();
    let profile = open(&directory);
    profile.files().clean().expect("cleaned");
    profile.change_password(&password(RECORDED_PASSWORD), &password("ours")).expect("changed");
    let ours = unlocked(&profile, "ours").present_id();
    assert!(profile.bind_password(ours, Format::Sealed).is_err(), "a program of 2019 may send it");
    let key = KeyDirectory::new(directory.path(), KeyRole::Client);
    assert_eq!(key.encoding().expect("readable"), KeyEncoding::Legacy);
    key.change_code(&password("ours"), &password("of 2019"), &mut SystemRng).expect("changed");
    profile.change_password(&password("of 2019"), &password("ours again")).expect("changed");
    profile.modernize(&password("ours again"), &password("modern")).expect("changed");
    assert_eq!(unlocked(&profile, "modern").present().expose(), b"modern");
}

#[test]
fn a_profile_of_our_first_version_is_taken_over() {
    let directory = directory();
    KeyDirectory::new(directory.path(), KeyRole::Client)
        .create(KeyEncoding::Modern, &*keys::client(&AwsLc), &password("old"), &mut SystemRng)
        .expect("it locks");
    let first_version = "
        CREATE TABLE cookies(cookie text NOT NULL UNIQUE, name text NOT NULL, size text NOT NULL, date text NOT NULL);
        CREATE TABLE fss_file(cookie TEXT PRIMARY KEY, server TEXT, own_password INTEGER NOT NULL) WITHOUT ROWID;
        INSERT INTO cookies VALUES ('1', 'own', '5', '2026-01-01 00:00'), ('2', 'of 2019', '6', '2026-01-02 00:00');
        INSERT INTO fss_file VALUES ('1', 'host:1', 1)";
    database(&directory).execute_batch(first_version).expect("made");
    let before = table_of_2019(&directory);
    let profile = open(&directory);
    let files = profile.files().list().expect("listed");
    assert_eq!((files[0].server.as_deref(), files[0].own_password), (Some("host:1"), true));
    assert_eq!((files[1].server.as_deref(), files[1].own_password), (None, false));
    assert!(
        files
            .iter()
            .all(|file| (file.format, file.password) == (Format::Legacy, PasswordId::FIRST))
    );
    let passwords = unlocked(&profile, "old");
    let sealed = profile.bind_password(passwords.present_id(), Format::Sealed);
    assert!(matches!(sealed, Err(ProfileError::PasswordWasSent)), "it may have been");
    profile.change_password(&password("old"), &password("new")).expect("changed");
    assert_eq!(known(&unlocked(&profile, "new"), PasswordId::FIRST).as_deref(), Some("old"));
    assert_eq!(table_of_2019(&directory), before);
}

#[test]
fn a_new_key_does_not_take_listed_files_for_its_own() {
    let (directory, profile) = profile("lost");
    fs::remove_file(directory.path().join(".pk")).expect("removed");
    profile.create_key(KeyEncoding::Modern, &password("new"), &AwsLc).expect("made");
    let passwords = unlocked(&profile, "new");
    assert_ne!(passwords.present_id(), PasswordId::FIRST);
    assert_eq!(known(&passwords, PasswordId::FIRST), None);
    let again = profile.create_key(KeyEncoding::Modern, &password("again"), &AwsLc);
    assert!(
        matches!(again, Err(ProfileError::Key(error)) if matches!(error.kind, KeyFileErrorKind::Exists))
    );
    assert_eq!(unlocked(&profile, "new").present_id(), passwords.present_id());
}

#[test]
fn sealed_files_keep_header_chain_and_password() {
    let (directory, profile) = profile("old");
    profile.change_password(&password("old"), &password("new")).expect("changed");
    let id = unlocked(&profile, "new").present_id();
    let mut sealed = FileRecord::sealed(cookie("2"), "sealed", 7, header(), chain(9), id);
    sealed.server = Some("host:1".into());
    profile.files().insert(&sealed).expect("inserted");
    assert!(profile.files().insert(&sealed).is_err(), "a cookie is listed once");
    let found = open(&directory).files().find("sealed").expect("listed").remove(0);
    sealed.date.clone_from(&found.date);
    assert_eq!(found, sealed);
    // Code of 2019 removes its row only, while we are there.
    database(&directory).execute("DELETE FROM cookies WHERE cookie = '2'", []).expect("removed");
    let other = FileRecord::new(cookie("2"), "other", 8);
    profile.files().insert(&other).expect("what was left behind is no hindrance");
    let found = profile.files().find("2").expect("listed").remove(0);
    assert_eq!((found.format, found.header, found.server), (Format::Legacy, None, None));
}

fn upload(text: &str, source: SourceIdentity) -> UploadRecord {
    UploadRecord {
        cookie: cookie(text),
        server: "host:1".into(),
        source,
        header: header(),
        name: "notes".into(),
        password: PasswordId::FIRST,
        own_password: true,
        encoding: "identity".into(),
    }
}

/// Numbers of devices and inodes may have all 64 bits.
const SOURCE: SourceIdentity =
    SourceIdentity { device: u64::MAX, inode: 1 << 63, size: 5, mtime_ns: -1, ctime_ns: i64::MAX };

#[test]
fn the_journal_of_uploads_outlives_the_process() {
    let (directory, profile) = profile("old");
    let (first, second) = (upload("7", SOURCE), upload("8", SOURCE));
    profile.uploads().begin(&first).expect("noted");
    profile.uploads().begin(&second).expect("noted");
    assert!(profile.uploads().begin(&second).is_err(), "a cookie is noted once");
    for (offset, byte) in
        [(CHECKPOINT, 1), (3 * CHECKPOINT, 3), (2 * CHECKPOINT, 2), (3 * CHECKPOINT, 4)]
    {
        profile
            .uploads()
            .checkpoint(&first.cookie, &Checkpoint { offset, chain: chain(byte) })
            .expect("noted");
    }
    drop(profile);
    let profile = open(&directory);
    let uploads = profile.uploads();
    assert_eq!(
        uploads.find(&SOURCE, "host:1", "identity").expect("found"),
        [second.clone(), first.clone()]
    );
    assert_eq!(uploads.find(&SOURCE, "host:2", "identity").expect("found"), []);
    assert_eq!(uploads.find(&SOURCE, "host:1", "zstd").expect("found"), []);
    assert_eq!(uploads.changed(&SOURCE, "host:1").expect("found"), []);
    let rewritten = SourceIdentity { mtime_ns: 0, ..SOURCE };
    assert_eq!(uploads.find(&rewritten, "host:1", "identity").expect("found"), []);
    assert_eq!(
        uploads.changed(&rewritten, "host:1").expect("found"),
        [second.clone(), first.clone()]
    );
    let last = uploads.checkpoints(&first.cookie).expect("readable").pop();
    assert_eq!(last, Some(Checkpoint { offset: 3 * CHECKPOINT, chain: chain(4) }));
    assert_eq!(uploads.checkpoints(&second.cookie).expect("readable"), []);
    assert_eq!(
        uploads.checkpoints(&first.cookie).expect("readable")[0],
        Checkpoint { offset: CHECKPOINT, chain: chain(1) }
    );
    uploads.resume(&first.cookie, CHECKPOINT).expect("noted");
    let last = uploads.checkpoints(&first.cookie).expect("readable").pop();
    assert_eq!(
        last,
        Some(Checkpoint { offset: CHECKPOINT, chain: chain(1) }),
        "what comes after is sealed anew"
    );
    uploads.abandon(&second.cookie).expect("forgotten");
    assert!(
        uploads.checkpoint(&second.cookie, &Checkpoint { offset: 0, chain: chain(0) }).is_err()
    );
    assert!(uploads.resume(&second.cookie, 0).is_err());
    assert_eq!(uploads.find(&SOURCE, "host:1", "identity").expect("found"), [first]);
}

#[test]
fn a_finished_upload_is_listed_and_known_until_it_was_told() {
    let (directory, profile) = profile("old");
    let listed = FileRecord::sealed(cookie("1"), "notes", 5, header(), chain(1), PasswordId::FIRST);
    let begun = upload("1", SOURCE);
    profile.uploads().begin(&begun).expect("noted");
    assert!(profile.uploads().finish(&listed).is_err(), "the cookie is listed");
    assert_eq!(
        profile.uploads().find(&SOURCE, "host:1", "identity").expect("found").len(),
        1,
        "nothing happened"
    );
    profile.files().clean().expect("cleaned");
    profile
        .uploads()
        .checkpoint(&listed.cookie, &Checkpoint { offset: 33, chain: chain(1) })
        .expect("noted");
    profile.uploads().finish(&listed).expect("finished");
    let profile = open(&directory);
    assert_eq!(profile.uploads().find(&SOURCE, "host:1", "identity").expect("found"), []);
    assert_eq!(profile.uploads().checkpoints(&listed.cookie).expect("readable"), []);
    assert_eq!(profile.files().find("1").expect("listed")[0].chain, Some(chain(1)));
    let finished =
        |source| profile.uploads().finished(source, "host:1", "identity").expect("found");
    let changed = SourceIdentity { mtime_ns: SOURCE.mtime_ns + 1, ..SOURCE };
    assert_eq!((finished(&SOURCE), finished(&changed)), (vec![begun], vec![]));
    assert_eq!(profile.uploads().changed(&changed, "host:1").expect("found"), [], "it is complete");
    profile.uploads().abandon(&listed.cookie).expect("forgotten");
    assert_eq!(finished(&SOURCE), []);
}

/// What a program that was killed had begun to write of the key and of the known servers; what is
/// being written stays.
#[test]
fn temporary_files_that_were_left_behind_are_removed() {
    let (directory, profile) = profile("old");
    profile
        .known_servers()
        .remember("host:1", fingerprint(1), ProtocolVersion::Fss2)
        .expect("remembered");
    let path = |name: &str| directory.path().join(name);
    let left = [".pk.01234567.tmp", ".vh.89abcdef.tmp", "known_servers.00000000.tmp"];
    let others = [
        "known_servers.0000000.tmp",
        "known_servers.00000000",
        "notes.00000000.tmp",
        "known_servers.being-it.tmp",
    ];
    left.iter().chain(&others).for_each(|name| fs::write(path(name), "half").expect("written"));
    let busy = fs::File::create(path(".pk.ffffffff.tmp")).expect("created");
    busy.lock().expect("locked");
    let profile = open(&directory);
    unlocked(&profile, "old");
    assert_eq!(left.map(|name| path(name).exists()), [false; 3]);
    assert!(others.iter().all(|name| path(name).exists()) && path(".pk.ffffffff.tmp").exists());
    assert_eq!(profile.known_servers().load().expect("readable").len(), 1);
}

#[test]
fn uploads_that_no_server_keeps_are_swept() {
    let (directory, profile) = profile("old");
    for (text, hours) in [("7", 26), ("8", 24)] {
        let upload = upload(text, SOURCE);
        profile.uploads().begin(&upload).expect("noted");
        profile
            .uploads()
            .checkpoint(&upload.cookie, &Checkpoint { offset: 33, chain: chain(1) })
            .expect("noted");
        let age = "UPDATE fss_upload SET noted = noted - 3600 * ?1 WHERE cookie = ?2";
        database(&directory).execute(age, rusqlite::params![hours, text]).expect("aged");
    }
    profile.uploads().sweep().expect("swept");
    let left = profile.uploads().find(&SOURCE, "host:1", "identity").expect("found");
    assert_eq!(left.iter().map(|upload| upload.cookie.as_str()).collect::<Vec<_>>(), ["8"]);
    assert_eq!(profile.uploads().checkpoints(&cookie("7")).expect("readable"), []);
}

#[test]
fn a_file_that_is_written_to_is_no_longer_the_same() {
    let directory = directory();
    let path = directory.path().join("file");
    let identity = || SourceIdentity::from(&fs::metadata(&path).expect("there"));
    fs::write(&path, "one").expect("written");
    let before = identity();
    assert_eq!(identity(), before);
    fs::write(&path, "three").expect("written");
    let after = identity();
    assert_eq!((before.device, before.inode, before.size), (after.device, after.inode, 3));
    assert_ne!(before, after);
}

#[test]
fn the_journal_of_downloads_outlives_the_process() {
    let (directory, profile) = profile("old");
    let target = Path::new(OsStr::from_bytes(b"/not \xff UTF-8"));
    let chain = chain(3);
    let mut download = DownloadRecord {
        server: Some("host:1".into()),
        header: Some(header()),
        ..download(target, target)
    };
    profile.downloads().begin(&download).expect("noted");
    assert!(profile.downloads().begin(&download).is_err(), "each part is one download");
    assert_eq!(
        profile.downloads().find(target, &cookie("7")).expect("readable"),
        None,
        "nothing to go on with yet"
    );
    profile.downloads().progress(&download.part, 12, chain, 7).expect("noted");
    // An earlier one to the same target, which has come less far.
    profile
        .downloads()
        .begin(&DownloadRecord { part: "/other".into(), ..download.clone() })
        .expect("noted");
    drop(profile);
    let profile = open(&directory);
    (download.position, download.chain, download.checksum) = (12, chain, 7);
    assert_eq!(download.bytes(), Some(12 * 65_536 - 3));
    assert_eq!(
        profile.downloads().find(target, &cookie("7")).expect("readable"),
        Some(download.clone())
    );
    assert_eq!(profile.downloads().find(target, &cookie("8")).expect("readable"), None);
    profile.downloads().remove(&download.part).expect("removed");
    assert_eq!(profile.downloads().find(target, &cookie("7")).expect("readable"), None);
    assert!(profile.downloads().progress(&download.part, 13, chain, 0).is_err());
}

fn download(target: &Path, part: &Path) -> DownloadRecord {
    DownloadRecord {
        target: target.into(),
        cookie: cookie("7"),
        server: None,
        part: part.into(),
        header: None,
        position: 0,
        chain: chain(0),
        metadata: vec![1, 2, 3],
        checksum: 0,
    }
}

/// What is swept: what cannot be resumed, what was not resumed for a week, and the
/// second name of what is there.
#[test]
fn parts_that_nobody_goes_on_with_are_swept() {
    let (directory, profile) = profile("old");
    let target = directory.path().join("target");
    let part = |content: Option<&str>| {
        let part = Downloads::new_part(&target);
        if let Some(content) = content {
            fs::write(&part, content).expect("written");
        }
        profile.downloads().begin(&download(&target, &part)).expect("noted");
        part
    };
    let progress = |part: &Path| profile.downloads().progress(part, 1, chain(1), 0).expect("noted");
    let [begun, usable, old, published, gone] =
        [Some("begun"), Some("usable"), Some("old"), Some("published"), None].map(part);
    for part in [&usable, &old, &published, &gone] {
        progress(part);
    }
    fs::hard_link(&published, &target).expect("made");
    let tree = part(None);
    fs::create_dir_all(tree.join("closed/in it")).expect("made");
    fs::set_permissions(tree.join("closed"), fs::Permissions::from_mode(0o0)).expect("set");
    let foreign = directory.path().join("foreign");
    fs::write(&foreign, "no part").expect("written");
    profile.downloads().begin(&download(&target, &foreign)).expect("noted");
    let aged = "UPDATE fss_download SET noted = noted - 604801 WHERE part = ?1";
    database(&directory).execute(aged, [old.as_os_str().as_bytes()]).expect("changed");

    let other = open(&directory);
    let downloading = other.downloads().start().expect("locked");
    profile.downloads().sweep().expect("swept");
    assert!(
        [&begun, &old, &published, &tree].iter().all(|part| part.exists()),
        "somebody may be writing them"
    );
    drop(downloading);
    profile.downloads().sweep().expect("swept");
    assert!([&begun, &old, &published, &tree].iter().all(|part| part.symlink_metadata().is_err()));
    assert!(usable.exists() && target.exists() && foreign.exists());
    let left = "SELECT count(*) FROM fss_download";
    assert_eq!(database(&directory).query_row(left, [], |row| row.get(0)), Ok(2));
}

/// Each makes the next call an error, and none a panic.
/// A profile from elsewhere: what its schema would have SQLite do is not done.
#[test]
fn triggers_of_a_foreign_profile_do_not_run() {
    let (directory, profile) = profile("password");
    let hostile = database(&directory);
    hostile
        .execute_batch(
            "CREATE TRIGGER listed AFTER INSERT ON cookies BEGIN DELETE FROM cookies; END;
            CREATE TRIGGER noted AFTER INSERT ON fss_file BEGIN UPDATE fss_file SET server = 'attacker:1'; END;",
        )
        .expect("created");
    drop((hostile, profile));
    let mut record = FileRecord::new(cookie("7"), "name", 1);
    record.server = Some("host:1".into());
    let profile = open(&directory);
    profile.files().insert(&record).expect("inserted");
    let found = profile.files().find("7").expect("listed").remove(0);
    assert_eq!(found.server.as_deref(), Some("host:1"));
}

#[test]
fn a_database_with_other_contents_gives_errors() {
    let fill = |profile: &Profile| {
        profile.change_password(&password("old"), &password("new")).expect("changed");
        profile.uploads().begin(&upload("7", SOURCE)).expect("noted");
        profile
            .uploads()
            .checkpoint(&cookie("7"), &Checkpoint { offset: 33, chain: chain(1) })
            .expect("noted");
    };
    let download = DownloadRecord {
        header: Some(header()),
        position: 1,
        ..download(Path::new("/target"), Path::new("/part"))
    };
    let failed = |profile: &Profile| -> Option<ProfileError> {
        let read = || -> Result<(), ProfileError> {
            profile.files().list()?;
            profile.uploads().find(&SOURCE, "host:1", "identity")?;
            profile.uploads().changed(&SOURCE, "host:1")?;
            profile.uploads().checkpoints(&cookie("7"))?;
            profile.downloads().find(Path::new("/target"), &cookie("7"))?;
            profile.unlock(&password("new"), &AwsLc)?.passwords.password_of(PasswordId::FIRST)?;
            profile.bind_password(PasswordId::FIRST, Format::Legacy)
        };
        read().err()
    };
    let (directory, profile) = profile("old");
    fill(&profile);
    profile.downloads().begin(&download).expect("noted");
    profile
        .files()
        .insert(&FileRecord::sealed(
            cookie("2"),
            "sealed",
            7,
            header(),
            chain(9),
            PasswordId::FIRST,
        ))
        .expect("inserted");
    assert!(failed(&profile).is_none());
    for tampering in [
        "UPDATE cookies SET name = x'ff'",
        "UPDATE cookies SET cookie = x'31' WHERE cookie = '2'",
        "UPDATE fss_file SET header = zeroblob(64)",
        "UPDATE fss_file SET header = 'text'",
        "UPDATE fss_file SET chain = x'00'",
        "UPDATE fss_file SET format = 3",
        "UPDATE fss_file SET password = -1",
        "UPDATE fss_file SET password = 1 << 32",
        "UPDATE fss_file SET own_password = 'no'",
        "UPDATE fss_password SET salt = x'00'",
        "UPDATE fss_password SET salt = 17",
        "UPDATE fss_password SET format = 'none'",
        "UPDATE fss_password SET generation = -1 WHERE generation = 1",
        "UPDATE fss_ring SET generation = -1",
        "UPDATE fss_ring SET sealed = 'text'",
        "UPDATE fss_ring SET sealed = x''",
        "UPDATE fss_upload SET size = -1",
        "UPDATE fss_upload SET header = x'00'",
        "UPDATE fss_upload SET password = -1",
        "UPDATE fss_upload SET name = zeroblob(3)",
        "UPDATE fss_upload_checkpoint SET chain = x'00'",
        "UPDATE fss_upload_checkpoint SET position = -1",
        "UPDATE fss_download SET position = -1",
        "UPDATE fss_download SET part = 3",
        "UPDATE fss_download SET header = x'00'",
        "UPDATE fss_download SET metadata = 'text'",
        "UPDATE fss_download SET checksum = -1",
    ] {
        let copy = tempdir().expect("a directory");
        for entry in
            fs::read_dir(directory.path()).expect("readable").map(|entry| entry.expect("readable"))
        {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
        }
        database(&copy).execute(tampering, []).expect("done");
        let error = failed(&open(&copy));
        match error.unwrap_or_else(|| panic!("no error: {tampering}")) {
            ProfileError::Files(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Damaged, "{tampering}: {error}");
            }
            ProfileError::FormerPasswordsDamaged => {}
            other => panic!("{tampering}: {other}"),
        }
    }
    for table in [
        "fss_file",
        "fss_password",
        "fss_ring",
        "fss_upload",
        "fss_upload_checkpoint",
        "fss_download",
    ] {
        database(&directory)
            .execute_batch(&format!("DROP TABLE {table}; CREATE TABLE {table}(x)"))
            .expect("done");
    }
    assert!(Profile::open(directory.path()).is_err());
}

fn fingerprint(byte: u8) -> Fingerprint {
    Fingerprint::from_bytes([byte; 32])
}

#[test]
fn known_servers_are_kept_with_key_and_version() {
    let directory = directory();
    let profile = open(&directory);
    let servers = profile.known_servers();
    assert_eq!(servers.load().expect("readable"), []);
    servers
        .remember("Example.org:5000", fingerprint(1), ProtocolVersion::Legacy)
        .expect("remembered");
    servers.remember("[::1]:5000", fingerprint(2), ProtocolVersion::Fss2).expect("remembered");
    servers
        .remember("example.org:5000", fingerprint(1), ProtocolVersion::Fss2)
        .expect("remembered");
    servers
        .remember("example.org:5000", fingerprint(1), ProtocolVersion::Legacy)
        .expect("the highest stays");
    let path = directory.path().join("known_servers");
    let (first, second) = (fingerprint(1), fingerprint(2));
    let text = format!("example.org:5000 {first} FSS/2\n[::1]:5000 {second} FSS/2\n");
    assert_eq!(fs::read_to_string(&path).expect("text"), text);
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let known =
        open(&directory).known_servers().get("EXAMPLE.org:5000").expect("readable").expect("known");
    assert_eq!((known.fingerprint, known.version), (first, ProtocolVersion::Fss2));
    assert_eq!(servers.get("example.org:5001").expect("readable"), None);
    let changed = servers
        .remember("example.org:5000", second, ProtocolVersion::Fss2)
        .expect_err("another key");
    assert!(
        matches!(changed, ProfileError::ServerKeyChanged { known, seen, .. } if (known, seen) == (first, second))
    );
    for fingerprint in [first, second] {
        assert!(changed.to_string().contains(&fingerprint.to_string()), "{changed}");
    }
    assert_eq!(fs::read_to_string(&path).expect("text"), text, "the known key stays");
    assert!(
        servers.forget("Example.org:5000").expect("forgotten")
            && !servers.forget("example.org:5000").expect("known")
    );
    servers.remember("example.org:5000", second, ProtocolVersion::Fss2).expect("a stranger again");
    for name in ["", "host", ":1", "host:", "host:70000", "a b:1", "a\n:1", "a:1\nb:2"] {
        assert!(servers.remember(name, first, ProtocolVersion::Fss2).is_err(), "{name:?}");
    }
}

#[test]
fn a_line_that_is_not_understood_is_told_by_its_number() {
    let directory = directory();
    let (profile, path) = (open(&directory), directory.path().join("known_servers"));
    let good = format!("host:1 {} FSS/2", fingerprint(1));
    let mut bad: Vec<String> = ["", "host:2", "host:2 SHA256:AAAA 1.0"].map(String::from).into();
    bad.extend([
        good.clone(),
        format!("{good} "),
        format!(" {good}"),
        good.replace("host:1", "host"),
    ]);
    bad.extend([
        good.replace("host:1", "host:2").replace("FSS/2", "FSS/3"),
        good.replace("host:1 ", "host:2  "),
    ]);
    for line in bad {
        fs::write(&path, format!("{good}\n{line}\n")).expect("written");
        let error: StoreError = profile.known_servers().load().expect_err("not understood");
        assert_eq!(error.kind(), StoreErrorKind::Damaged);
        assert!(error.to_string().contains("known_servers: line 2 "), "{line:?}: {error}");
        assert!(
            profile
                .known_servers()
                .remember("host:3", fingerprint(1), ProtocolVersion::Fss2)
                .is_err()
        );
        assert!(
            fs::read_to_string(&path).expect("text").contains(&line),
            "it is for its owner to mend"
        );
    }
    for bytes in [vec![0xff], vec![b'\n'; 2 << 20]] {
        fs::write(&path, bytes).expect("written");
        assert_eq!(
            profile.known_servers().load().expect_err("no list").kind(),
            StoreErrorKind::Damaged
        );
    }
}

#[test]
fn processes_that_remember_servers_at_once_lose_none() {
    let directory = directory();
    std::thread::scope(|scope| {
        for port in 1..=8 {
            let profile = open(&directory);
            scope.spawn(move || {
                let server = format!("host:{port}");
                profile
                    .known_servers()
                    .remember(&server, fingerprint(1), ProtocolVersion::Fss2)
                    .expect("remembered");
            });
        }
    });
    assert_eq!(open(&directory).known_servers().load().expect("readable").len(), 8);
}

#[test]
fn a_fingerprint_is_read_as_it_is_shown() {
    let fingerprint = keys::server(&AwsLc).public_key().fingerprint();
    let text = fingerprint.to_string();
    assert_eq!(text.parse(), Ok(fingerprint));
    assert_eq!(Fingerprint::from_bytes(*fingerprint.as_bytes()), fingerprint);
    let digest = text.strip_prefix("SHA256:").expect("as shown");
    let zeros = "A".repeat(42);
    let others = [
        String::new(),
        digest.into(),
        format!("{text}="),
        text.to_lowercase(),
        text[..49].into(),
        format!("{text}A"),
    ];
    for other in others.into_iter().chain([format!("SHA256:{zeros}B"), format!("SHA512:{digest}")])
    {
        assert!(other.parse::<Fingerprint>().is_err(), "{other:?}");
    }
}
