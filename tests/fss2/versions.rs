//! Hellos that are none, and both versions of the protocol side by side.

use fss::client::legacy;
use fss::crypto::PublicKeyDer;
use fss::crypto::legacy::FileKey;
use fss::server::ServerEvent;
use fss::store::StoredFormat;
use fss::wire::error_frame::ErrorFrame;
use fss::wire::frame::to_base64;
use fss::wire::hello::InvalidHello;
use fss::wire::reply::{Reply, ReplyContext};
use fss::{OpaqueCookie, Password, Versions};
use fss_test_support::fault_store::FaultStore;
use fss_test_support::insecure_crypto::block;

use super::*;

/// The same key in forms that FSS 1.0 takes and FSS/2 does not: another exponent, and parameters
/// that are left out.
pub(crate) fn keys_of_other_forms(key: &PublicKeyDer) -> [Vec<u8>; 2] {
    let mut exponent = key.as_bytes().to_vec();
    *exponent.last_mut().expect("it is not empty") = 3;
    let mut parameters = key.as_bytes().to_vec();
    // SEQUENCE of 0x122 bytes { SEQUENCE of 13 { OID of 9, NULL }, BIT STRING … }
    assert_eq!(
        (&parameters[..6], &parameters[17..19]),
        (&[0x30, 0x82, 1, 0x22, 0x30, 13][..], &[5, 0][..])
    );
    (parameters[3], parameters[5]) = (0x20, 11);
    parameters.drain(17..19);
    [exponent, parameters]
}

fn base64_of(byte: u8) -> String {
    to_base64(&[byte; 32])
}

/// A hello with these arguments, of which `|` ends each.
fn hello(arguments: &str) -> Vec<u8> {
    let share = format!("share={}", base64_of(9));
    let secret = format!("secret={}", base64_of(8));
    arguments.replace("SHARE", &share).replace("SECRET", &secret).replace('|', "\0").into_bytes()
}

/// A server that has heard a client's key.
fn server_with_a_key(client: &[u8]) -> ScriptedPeer<'static, ServerSession<MemoryStore>> {
    let scenario = Scenario::fast();
    let mut scripted = ScriptedPeer::new(scenario.server(store()), scenario.client, &[]);
    scripted.exchange_key_for(client);
    scripted
}

fn server_that_knows_the_client() -> ScriptedPeer<'static, ServerSession<MemoryStore>> {
    server_with_a_key(Scenario::fast().client.identity().public_key().as_bytes())
}

/// What a refused hello is answered with, and how the server ends.
fn refusal(
    scripted: &mut ScriptedPeer<'_, ServerSession<MemoryStore>>,
) -> (Option<ErrorCode>, Error) {
    let answer = scripted.hear_message();
    let Ok(Reply::Refusal(refused)) = Reply::parse(&answer, ReplyContext::Other) else {
        panic!("it is no refusal")
    };
    assert_eq!(scripted.hear_raw(), b"", "nothing else");
    (refused.code, scripted.leave().expect_err("it is refused"))
}

#[test]
fn a_hello_of_another_version_is_refused_as_that_whatever_follows() {
    for text in [
        "H|",
        "H|FSS/3|",
        "H|FSS/3|SHARE|SECRET|",
        "H|fss/2|SHARE|SECRET|",
        "H||SHARE|SECRET|",
        "H|SHARE|SECRET|",
        "H|SHARE|FSS/2|SECRET|",
        "H|FSS/3|a=b|not named|",
        "H|FSS/3|a=b|a=b|",
        "H|FSS/3|not ended",
        "H|FSS/3",
    ] {
        let mut scripted = server_that_knows_the_client();
        scripted.say_message(&hello(text));
        let (code, error) = refusal(&mut scripted);
        assert_eq!(
            (code, error),
            (Some(ErrorCode::Version), InvalidHello::Version.into()),
            "{text}"
        );
    }
}

#[test]
fn a_hello_of_any_other_form_breaks_the_protocol() {
    let order_one = format!("H|FSS/2|share=AQ{}=|SECRET|", "A".repeat(41));
    let zero = format!("H|FSS/2|share={}|SECRET|", base64_of(0));
    for text in [
        "H|FSS/2|",
        "H|FSS/2|SHARE|",
        "H|FSS/2|SECRET|",
        "H|FSS/2|SECRET|SHARE|",
        "H|FSS/2|SHARE|SECRET|x=y|",
        "H|FSS/2|SHARE|x=y|SECRET|",
        "H|FSS/2|more|SHARE|SECRET|",
        "H|FSS/2|SHARE|SECRET|more|",
        "H|FSS/2|SHARE|SHARE|SECRET|",
        "H|FSS/2|SHARE|SECRET",
        "H|FSS/2|share=AAAA|SECRET|",
        "H|FSS/2|share=|SECRET|",
        &zero,
        &order_one,
    ] {
        let mut scripted = server_that_knows_the_client();
        scripted.say_message(&hello(text));
        let (code, error) = refusal(&mut scripted);
        assert_eq!(code, Some(ErrorCode::Protocol), "{text}");
        assert!(matches!(error, Error::InvalidHello(_)), "{text}: {error:?}");
    }
}

/// One content block and the end mark: opening it costs the server no more, and the end mark is not
/// opened (§13.6).
#[test]
fn a_hello_of_three_blocks_is_refused() {
    let text = hello("H|FSS/2|SHARE|SECRET|");
    let mut scripted = server_that_knows_the_client();
    scripted.say_raw(&[block(&text[..50]), block(&text[50..]), block(&[])].concat());
    assert_eq!(refusal(&mut scripted).0, Some(ErrorCode::Protocol));
    let mut scripted = server_that_knows_the_client();
    scripted.say_raw(&[block(&text), block(&[])].concat());
    assert!(scripted.hear_message().starts_with(b"R\0FSS/2\0"), "in two it is good");
}

#[test]
fn a_hello_from_a_key_that_is_not_in_its_one_form_is_refused() {
    for der in keys_of_other_forms(Scenario::fast().client.identity().public_key()) {
        let mut scripted = server_with_a_key(&der);
        scripted.say_message(&hello("H|FSS/2|SHARE|SECRET|"));
        assert_eq!(
            refusal(&mut scripted),
            (Some(ErrorCode::Protocol), Refusal::KeyNotCanonical.into())
        );
        let mut scripted = server_with_a_key(&der);
        scripted.say_message(b"U\0password\0");
        assert_eq!(scripted.hear_message(), b"R\x001\0", "FSS 1.0 takes it");
    }
}

/// The error of a client that receives this instead of a server's hello, and what it sends.
fn client_hears(message: &[u8]) -> (Result<(), Error>, Vec<u8>) {
    let scenario = Scenario::fast();
    let mut scripted = ScriptedPeer::new_server(
        scenario.scripted(vec![Operation::Information]),
        scenario.server.config().clone(),
        &[],
    );
    scripted.exchange_keys();
    scripted.hear_message();
    scripted.say_message(message);
    let end = scripted.leave();
    assert_eq!(scripted.events, [], "it is not connected");
    (end, scripted.hear_raw())
}

#[test]
fn a_client_takes_no_other_hello_and_says_nothing_more() {
    for text in
        ["R|", "R|FSS/3|SHARE|SECRET|", "R|FSS/2|SECRET|SHARE|", "R|FSS/2|SHARE|SECRET|x=y|"]
    {
        let (end, said) = client_hears(&hello(text));
        assert!(matches!(end, Err(Error::InvalidHello(_))), "{text}: {end:?}");
        assert_eq!(said, b"", "{text}");
    }
    let (end, said) = client_hears(&hello("H|FSS/2|SHARE|SECRET|"));
    assert!(matches!((end, said.as_slice()), (Err(Error::Misbehaved(_)), [])));
    let zero = format!("R|FSS/2|share={}|SECRET|", base64_of(0));
    assert_eq!(client_hears(&hello(&zero)), (Err(InvalidHello::Share.into()), vec![]));
}

#[test]
fn a_client_reports_why_its_hello_was_refused() {
    for code in [ErrorCode::Version, ErrorCode::Protocol, ErrorCode::Busy] {
        let refused = ErrorFrame::new(code, None);
        assert_eq!(client_hears(&refused.encode()), (Err(Error::PeerRefused(refused)), vec![]));
    }
}

fn password() -> Password {
    Password::new("correct horse").expect("it is valid")
}

fn speaking(versions: Versions) -> Scenario {
    let scenario = Scenario::fast();
    Scenario { server: scenario.server.clone().with_versions(versions), ..scenario }
}

fn run_legacy(
    scenario: &Scenario,
    store: impl Store,
    mut client: legacy::LegacySession,
) -> Outcome<legacy::LegacyEvent> {
    run(&mut scenario.server(store), &mut client, b"a file of 1.0", Wire::default())
}

fn legacy_upload(scenario: &Scenario, store: impl Store) -> Outcome<legacy::LegacyEvent> {
    run_legacy(scenario, store, legacy::LegacySession::upload(scenario.client.clone(), &password()))
}

fn legacy_download(
    scenario: &Scenario,
    store: impl Store,
    cookie: Cookie,
) -> Outcome<legacy::LegacyEvent> {
    let cookie = OpaqueCookie::from(cookie);
    run_legacy(
        scenario,
        store,
        legacy::LegacySession::download(scenario.client.clone(), &cookie, &password(), None),
    )
}

fn told(end: Result<(), Error>) -> String {
    let Err(Error::PeerRefused(refused)) = end else { panic!("{end:?}") };
    assert_eq!(refused.code, None, "1.0 has no codes");
    refused.text.as_str().into()
}

#[test]
fn a_server_of_1_0_refuses_a_hello_in_clear_and_the_client_says_so() {
    let scenario = speaking(Versions::Legacy);
    let outcome = scenario.run(store(), vec![Operation::Information], &[], Wire::default());
    assert_eq!(outcome.from_server[450..], *b"E\0illegal user state\0");
    assert_eq!(told(outcome.client), "illegal user state");
    assert_eq!(outcome.server, Err(Refusal::UnknownRequest.into()));
    assert_eq!(outcome.client_events, [], "there is no connection");
    assert_eq!(legacy_upload(&scenario, store()).client, Ok(()));
}

#[test]
fn a_server_of_fss_2_alone_refuses_1_0_in_its_words() {
    let (scenario, store) = (speaking(Versions::Fss2), store());
    for end in [
        legacy_upload(&scenario, &store).client,
        legacy_download(&scenario, &store, cookie()).client,
    ] {
        assert_eq!(told(end), "Failed to proceed with the selected operation");
    }
    assert!(store.is_empty() && store.pending() == 0);
    assert_eq!(scenario.upload(&store, b"tiny", Wire::default()).client, Ok(()));
}

/// Towards FSS 1.0 a sealed or a pending file does not exist (§23.2): the same text, the same
/// bytes, the same steps.
#[test]
fn a_client_of_1_0_cannot_tell_a_sealed_file_from_none() {
    let (scenario, memory) = (Scenario::fast(), stored(b"sealed"));
    let mut pending = scenario.with_client_by_hand(&memory);
    pending.ask(&Request::Upload(new_upload()));
    let store = FaultStore::new(memory.clone());
    let answers = [cookie(), Cookie::from_index(2), unknown()].map(|cookie| {
        // A server of its own for each, so that none is slowed down.
        let outcome = legacy_download(&Scenario::fast(), &store, cookie);
        assert_eq!(outcome.server, Err(Refusal::UnknownCookie.into()));
        (told(outcome.client), outcome.from_server, store.asked())
    });
    assert_eq!(answers[0].0, "Failed to proceed with the selected operation");
    assert_eq!(memory.pending(), 1);
    assert!(answers[0] == answers[1] && answers[1] == answers[2]);
}

/// A scripted FSS/2 connection to a server with one file of 1.0.
fn with_a_file_of_1_0() -> (ScriptedPeer<'static, ServerSession<MemoryStore>>, MemoryStore) {
    let (scenario, store) = (Scenario::fast(), store());
    assert_eq!(legacy_upload(&scenario, &store).client, Ok(()));
    (scenario.with_client_by_hand(store.clone()), store)
}

fn legacy_proof(scripted: &ScriptedPeer<'_, ServerSession<MemoryStore>>) -> Proof {
    Proof::new(&FileKey::derive(&password()).verifier(), scripted.binding(), &cookie())
}

/// §18.10: the stored bytes as they are.
#[test]
fn a_file_of_1_0_can_be_downloaded_with_a_proof() {
    let (mut scripted, store) = with_a_file_of_1_0();
    assert_eq!(
        Reply::parse(&scripted.ask(&Request::Challenge { cookie: cookie() }), ReplyContext::Other),
        Ok(Reply::Challenge(StoredFormat::Legacy))
    );
    let request = Request::Download { cookie: cookie(), proof: legacy_proof(&scripted), offset: 0 };
    let approval = scripted.ask(&request);
    let Ok(Reply::Approved { size: 16, legacy: true, .. }) =
        Reply::parse(&approval, ReplyContext::Other)
    else {
        panic!("{}", approval.escape_ascii())
    };
    let mut file = store.open(&cookie()).expect("it works").expect("it is there");
    let stored = read(&mut *file, 0, 16).expect("it works");
    assert_eq!(
        [scripted.hear(), scripted.hear()],
        [[b"F\0", &stored[..]].concat(), b"F\0".to_vec()]
    );
    scripted.say(&Request::Taken { offset: 16 }.encode());
    assert_eq!(scripted.leave(), Ok(()));
    assert!(matches!(scripted.events.last(), Some(ServerEvent::Delivered { bytes: 16, .. })));
}

#[test]
fn a_file_of_1_0_can_be_deleted_with_a_proof_and_not_without() {
    let (mut scripted, store) = with_a_file_of_1_0();
    scripted.say(&Request::Delete { cookie: cookie(), proof: None }.encode());
    assert_eq!(scripted.hear_refusal().code, Some(ErrorCode::Refused), "nobody owns it");
    let proof = Some(legacy_proof(&scripted));
    assert_eq!(scripted.ask(&Request::Delete { cookie: cookie(), proof }), Reply::Deleted.encode());
    assert!(store.is_empty());
}

/// A client is told that a file is of 1.0 only if it asks; no proof is sent for it unless it was
/// asked for (§18.11).
#[test]
fn a_client_is_told_of_a_file_of_1_0_and_downloads_none_as_sealed() {
    let (scenario, store) = (Scenario::fast(), store());
    assert_eq!(legacy_upload(&scenario, &store).client, Ok(()));
    let outcome =
        scenario.run(&store, vec![Operation::Challenge { cookie: cookie() }], &[], Wire::default());
    assert_eq!(outcome.client_events.last(), Some(&ClientEvent::Challenged(StoredFormat::Legacy)));
}
