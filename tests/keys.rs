//! Keys in files: both forms, both owners, both providers, changes that power cuts interrupt, and
//! files that are damaged.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fss::crypto::{CryptoProvider, PrivateKey, aws_lc::AwsLc, rustcrypto::RustCrypto};
use fss::key_file::{KeyDirectory, KeyEncoding, KeyFile, KeyFileError, KeyFileErrorKind, KeyRole};
use fss::profile::{FileRecord, Profile, ProfileError};
use fss::store::StoreErrorKind;
use fss::{OpaqueCookie, Password, SystemRng};
use fss_test_support::{keys, rng::SeededRng};
use tempfile::{TempDir, tempdir};

const FORMS: [KeyEncoding; 2] = [KeyEncoding::Modern, KeyEncoding::Legacy];

fn directory() -> TempDir {
    tempdir().expect("a directory")
}

fn code(text: &str) -> Password {
    Password::new(text).expect("valid")
}

fn key() -> Arc<dyn PrivateKey> {
    keys::server(&AwsLc)
}

fn locked(directory: &Path, form: KeyEncoding) -> KeyDirectory {
    let locked = KeyDirectory::new(directory, KeyRole::Server);
    locked.create(form, &*key(), &code("old"), &mut SystemRng).expect("it locks");
    locked
}

fn kind<T>(result: Result<T, KeyFileError>) -> KeyFileErrorKind {
    result.err().expect("an error").kind
}

fn opens(locked: &KeyDirectory, with: &str) -> bool {
    match locked.open(&code(with), &AwsLc) {
        Ok(opened) => opened.public_key() == key().public_key(),
        Err(error) => {
            assert!(matches!(error.kind, KeyFileErrorKind::WrongCode), "{error}");
            false
        }
    }
}

#[test]
fn what_one_provider_locks_the_other_opens_in_both_forms() {
    let providers: [&dyn CryptoProvider; 2] = [&AwsLc, &RustCrypto];
    for form in FORMS {
        for locking in providers {
            let directory = directory();
            let key = keys::client(locking);
            let locked = KeyDirectory::new(directory.path(), KeyRole::Client);
            locked.create(form, &*key, &code("secret"), &mut SystemRng).expect("it locks");
            assert_eq!(locked.encoding().expect("readable"), form);
            for opening in providers {
                let opened = locked.open(&code("secret"), opening).expect("it opens");
                assert_eq!(opened.public_key(), key.public_key());
            }
            assert_eq!(directory.path().join(".vh").exists(), form == KeyEncoding::Legacy);
        }
    }
}

/// The directory adds nothing to the key file itself.
#[test]
fn a_key_file_in_memory_is_the_one_of_a_directory() {
    for form in FORMS {
        let directory = directory();
        locked(directory.path(), form);
        let file = fs::read(directory.path().join(".pk")).expect("there");
        let file = KeyFile::parse(&file).expect("it has a length");
        assert_eq!(file.encoding(), form);
        let opened = file.open(&code("old"), &AwsLc).expect("it opens");
        assert_eq!(opened.public_key(), key().public_key());
        assert!(matches!(file.open(&code("new"), &AwsLc), Err(KeyFileErrorKind::WrongCode)));

        let sealed = KeyFile::seal(&*opened, &code("new"), form, &mut SystemRng).expect("it locks");
        let other = self::directory();
        fs::write(other.path().join(".pk"), sealed.as_bytes()).expect("written");
        assert!(opens(&KeyDirectory::new(other.path(), KeyRole::Server), "new"));
    }
    for bytes in [vec![], vec![b'x'; 64 * 1024 + 1]] {
        assert!(matches!(KeyFile::parse(&bytes), Err(KeyFileErrorKind::Damaged(_))));
    }
}

#[test]
fn the_two_providers_open_what_the_other_seals() {
    let providers: [&dyn CryptoProvider; 2] = [&AwsLc, &RustCrypto];
    for sealing in providers {
        for opening in providers {
            let private = keys::server(opening);
            let public = sealing.load_public_key(private.public_key()).expect("valid");
            for length in [0, 1, 100, 213, 214] {
                let (mut block, mut plaintext) = (Vec::new(), b"before ".to_vec());
                public.seal(&vec![7; length], &mut SystemRng, &mut block).expect("short enough");
                assert_eq!(block.len(), 256);
                private.open(&block, &mut SystemRng, &mut plaintext).expect("it opens");
                assert_eq!(plaintext, [b"before ".as_slice(), &vec![7; length]].concat());
                block[100] ^= 1;
                assert!(private.open(&block, &mut SystemRng, &mut plaintext).is_err());
                assert_eq!(plaintext.len(), 7 + length, "what does not open adds nothing");
            }
            let mut block = Vec::new();
            assert!(public.seal(&[7; 215], &mut SystemRng, &mut block).is_err());
            assert!(block.is_empty());
        }
    }
}

#[test]
fn new_keys_have_2048_bits() {
    for provider in [&AwsLc as &dyn CryptoProvider, &RustCrypto] {
        let key = provider.generate_private_key(&mut SeededRng(7)).expect("made");
        assert_eq!(key.block_length(), 256);
        assert_eq!(key.public_key().as_bytes().len(), 294);
    }
}

#[test]
fn a_change_of_code_keeps_the_form_and_an_upgrade_changes_it() {
    for form in FORMS {
        let directory = directory();
        let locked = locked(directory.path(), form);
        assert!(opens(&locked, "old") && !opens(&locked, "new"));
        assert!(matches!(
            kind(locked.change_code(&code("wrong"), &code("new"), &mut SystemRng)),
            KeyFileErrorKind::WrongCode
        ));
        locked.change_code(&code("old"), &code("new"), &mut SystemRng).expect("changed");
        assert!(!opens(&locked, "old") && opens(&locked, "new"));
        assert_eq!(locked.encoding().expect("readable"), form);
        locked.upgrade(&code("new"), &mut SystemRng).expect("upgraded");
        assert_eq!(locked.encoding().expect("readable"), KeyEncoding::Modern);
        assert!(opens(&locked, "new") && !directory.path().join(".shc").exists());
        let names: Vec<_> = fs::read_dir(directory.path()).expect("readable").collect();
        assert_eq!(names.len(), 1, "nothing temporary stays");
    }
}

/// The key file decides. A change of code that was cut short between the two files of 2019 is
/// finished at the next start.
#[test]
fn a_change_of_code_that_was_cut_short_is_finished() {
    let (old, new) = (directory(), directory());
    locked(old.path(), KeyEncoding::Legacy);
    locked(new.path(), KeyEncoding::Legacy)
        .change_code(&code("old"), &code("new"), &mut SystemRng)
        .expect("changed");
    let torn = directory();
    fs::copy(new.path().join(".pk"), torn.path().join(".pk")).expect("copied");
    fs::copy(old.path().join(".shc"), torn.path().join(".shc")).expect("copied");
    let key = KeyDirectory::new(torn.path(), KeyRole::Server);
    assert!(opens(&key, "new"));
    assert_eq!(
        fs::read(torn.path().join(".shc")).expect("there"),
        fs::read(new.path().join(".shc")).expect("there")
    );
    // An upgrade that was cut short leaves a hash that would undo what scrypt is for.
    let upgraded = directory();
    let key = locked(upgraded.path(), KeyEncoding::Modern);
    fs::copy(old.path().join(".shc"), upgraded.path().join(".shc")).expect("copied");
    assert!(opens(&key, "old"));
    assert!(!upgraded.path().join(".shc").exists());
}

#[test]
fn a_key_is_never_overwritten_and_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    for form in FORMS {
        let directory = directory();
        let locked = locked(directory.path(), form);
        let again = locked.create(form, &*key(), &code("other"), &mut SystemRng);
        assert!(matches!(kind(again), KeyFileErrorKind::Exists));
        assert!(opens(&locked, "old"));
        for entry in fs::read_dir(directory.path()).expect("readable") {
            let mode = entry.expect("readable").metadata().expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}

#[test]
fn damaged_key_files_are_told_from_wrong_codes() {
    let directory = directory();
    let locked = KeyDirectory::new(directory.path(), KeyRole::Server);
    let path = directory.path().join(".pk");
    assert!(matches!(kind(locked.open(&code("old"), &AwsLc)), KeyFileErrorKind::Missing));
    for bytes in [
        vec![],
        vec![b'x'; 100_000],
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nnonsense".to_vec(),
        b"-----BEGIN X-----".to_vec(),
    ] {
        fs::write(&path, bytes).expect("written");
        assert!(matches!(kind(locked.open(&code("old"), &AwsLc)), KeyFileErrorKind::Damaged(_)));
    }
    fs::remove_file(&path).expect("removed");
    locked.create(KeyEncoding::Legacy, &*key(), &code("old"), &mut SystemRng).expect("it locks");
    let mut bytes = fs::read(&path).expect("readable");
    bytes[3] ^= 1;
    fs::write(&path, &bytes).expect("written");
    assert!(
        matches!(kind(locked.open(&code("old"), &AwsLc)), KeyFileErrorKind::Damaged(_)),
        "the hash says that the code is right"
    );
    assert!(matches!(kind(locked.open(&code("wrong"), &AwsLc)), KeyFileErrorKind::WrongCode));
    bytes.pop();
    fs::write(&path, &bytes).expect("written");
    assert!(matches!(kind(locked.open(&code("old"), &AwsLc)), KeyFileErrorKind::Damaged(_)));
}

/// A key file with parameters that are impossible, or others than it was locked with, gets an
/// error.
#[test]
fn a_key_file_with_other_parameters_does_not_open() {
    let directory = directory();
    let locked = locked(directory.path(), KeyEncoding::Modern);
    let path = directory.path().join(".pk");
    let text = fs::read_to_string(&path).expect("text");
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let mut der =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).expect("base64");
    // N = 2^16, r = 10 and p = 1, as INTEGERs: no less than the 64 MiB of a sealed file.
    let at = der
        .windows(11)
        .position(|bytes| bytes == [2, 3, 1, 0, 0, 2, 1, 10, 2, 1, 1])
        .expect("scrypt's parameters");
    for (n, r) in [
        ([0x7f, 0xff, 0xff], 10),
        ([0x40, 0, 0], 10),
        ([0, 0, 0], 10),
        ([0, 0, 1], 10),
        ([1, 0, 0], 0),
    ] {
        der[at + 2..at + 5].copy_from_slice(&n);
        der[at + 7] = r;
        let bytes = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der);
        fs::write(&path, format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{bytes}\n-----END ENCRYPTED PRIVATE KEY-----\n"))
            .expect("written");
        assert!(locked.open(&code("old"), &AwsLc).is_err(), "{n:?} {r}");
    }
}

fn cookie(text: &str) -> OpaqueCookie {
    OpaqueCookie::parse(text.as_bytes()).expect("valid")
}

#[test]
fn a_profile_keeps_the_list_of_files() {
    let directory = directory();
    let profile = Profile::open(&directory.path().join("new/profile")).expect("it opens");
    let files = profile.files();
    for (text, name, size) in
        [("1", "notes.txt", 5), ("2", "more notes.txt", 0), ("3", "notes.txt", 7)]
    {
        files.insert(&FileRecord::new(cookie(text), name, size)).expect("inserted");
    }
    assert!(
        files.insert(&FileRecord::new(cookie("1"), "again", 1)).is_err(),
        "a cookie is listed once"
    );
    let names = |records: Vec<FileRecord>| {
        records.into_iter().map(|record| record.name).collect::<Vec<_>>()
    };
    assert_eq!(names(files.list().expect("listed")), ["notes.txt", "more notes.txt", "notes.txt"]);
    assert_eq!(names(files.search("more").expect("listed")), ["more notes.txt"]);
    assert_eq!(files.find("notes.txt").expect("listed").len(), 2);
    assert_eq!(names(files.find("2").expect("listed")), ["more notes.txt"]);
    assert_eq!(files.cookie("notes.txt").expect("listed"), Some(cookie("3")), "the newest");
    assert_eq!(files.cookie("nothing").expect("listed"), None);
    assert_eq!(files.size(&cookie("3")).expect("listed"), Some(7));
    assert_eq!(files.size(&cookie("9")).expect("listed"), None);
    assert!(
        files.remove(&cookie("2")).expect("removed")
            && !files.remove(&cookie("2")).expect("removed")
    );
    assert_eq!(files.clean().expect("cleaned"), 2);
    assert_eq!(files.list().expect("listed"), []);
}

#[test]
fn the_password_changes_only_while_no_file_is_listed() {
    let directory = directory();
    let profile = Profile::open(directory.path()).expect("it opens");
    let key = profile.create_key(KeyEncoding::Legacy, &code("old"), &AwsLc).expect("made").key;
    profile.files().insert(&FileRecord::new(cookie("1"), "a", 1)).expect("inserted");
    let refused = profile.change_password(&code("old"), &code("new"));
    assert!(matches!(refused, Err(ProfileError::FilesListed { count: 1 })));
    profile.files().clean().expect("cleaned");
    profile.change_password(&code("old"), &code("new")).expect("changed");
    assert!(profile.unlock(&code("old"), &AwsLc).is_err());
    assert_eq!(
        profile.unlock(&code("new"), &AwsLc).expect("it opens").key.public_key(),
        key.public_key()
    );
}

#[test]
fn a_profile_of_2019_is_used_as_it_is() {
    let directory = directory();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1/client-dir");
    for name in [".pk", ".vh", "fssLocal.db"] {
        fs::copy(recorded.join(name), directory.path().join(name)).expect("copied");
    }
    let profile = Profile::open(directory.path()).expect("it opens");
    let key = profile.unlock(&code("correct horse battery staple"), &AwsLc).expect("it opens").key;
    assert_eq!(key.public_key(), keys::client(&AwsLc).public_key());
    let files = profile.files().list().expect("listed");
    let seen: Vec<_> =
        files.iter().map(|file| (file.name.as_str(), file.size, file.date.as_str())).collect();
    let date = "2026-11-23 05:46";
    let sizes = [
        ("notes.txt", 2760),
        ("block.bin", 2048),
        ("one.bin", 1),
        ("empty.bin", 0),
        ("repeat.bin", 3000),
    ];
    assert_eq!(seen, sizes.map(|(name, size)| (name, Some(size), date)));
    assert!(files.iter().all(|file| file.server.is_none() && !file.own_password));
    drop(profile);
    let database =
        rusqlite::Connection::open(directory.path().join("fssLocal.db")).expect("a database");
    database
        .execute("INSERT INTO cookies VALUES ('9', 'odd', 'unknown', '')", [])
        .expect("the old insert works");
    drop(database);
    let odd =
        Profile::open(directory.path()).expect("it opens").files().find("odd").expect("listed");
    assert_eq!(odd[0].size, None);
}

#[test]
fn a_profile_whose_database_is_none_says_so() {
    let directory = directory();
    fs::write(directory.path().join("fssLocal.db"), vec![b'x'; 5000]).expect("written");
    let Err(ProfileError::Files(error)) = Profile::open(directory.path()) else {
        panic!("it opened")
    };
    assert_eq!(error.kind(), StoreErrorKind::Damaged);
    assert!(error.to_string().contains("fssLocal.db"), "{error}");
}

/// What is not this signature is refused by the vectors (`tests/vectors_v2.rs`); here each provider
/// signs.
#[test]
fn a_signature_of_either_provider_verifies_with_both_and_with_no_other_key() {
    let message = b"fss/2 server identity\0".as_slice();
    let providers: [&dyn CryptoProvider; 2] = [&RustCrypto, &AwsLc];
    for signing in providers {
        let key = keys::server(signing);
        let [signature, again] =
            [0, 1].map(|_| key.sign(message, &mut SystemRng).expect("it signs"));
        assert_eq!(signature.len(), key.block_length());
        assert_ne!(signature, again, "the salt is random");
        for verifying in providers {
            let verify = |key: &dyn PrivateKey, message: &[u8]| {
                verifying
                    .load_public_key(key.public_key())
                    .expect("a key")
                    .verify(message, &signature)
            };
            assert_eq!(verify(&*key, message), Ok(()), "{} {}", signing.name(), verifying.name());
            assert!(verify(&*keys::client(signing), message).is_err());
            assert!(verify(&*key, b"another").is_err());
        }
    }
}
