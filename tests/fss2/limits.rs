//! What a stranger can take of a server: a place among others, private operations, and time (§24).

use std::net::IpAddr;

use fss::server::ServerEvent;
use fss::wire::error_frame::ErrorFrame;
use fss::wire::frame::to_base64;
use fss::wire::key_exchange;
use fss::{Limits, Machine as _, Phase, Step, Time, Versions};
use fss_test_support::counting::Counting;
use fss_test_support::insecure_crypto::block;
use std::time::Duration;

use super::*;

fn limited(
    provider: &(impl CryptoProvider + Clone + 'static),
    change: impl FnOnce(&mut Limits),
) -> Scenario {
    Scenario::with(provider).with_limits(change)
}

fn from(scenario: &Scenario, address: &str) -> ServerSession<MemoryStore> {
    scenario.server(store()).with_peer(address.parse::<IpAddr>().expect("an address"))
}

/// Without any private operation, and the client understands it.
#[test]
fn one_connection_too_many_is_told_that_the_server_is_busy() {
    let busy = ErrorFrame::new(ErrorCode::Busy, Some(5));
    for (change, crowd, late) in [
        (
            Box::new(|limits: &mut Limits| limits.connections = 2) as Box<dyn Fn(&mut Limits)>,
            ["10.0.0.1", "10.0.0.2"],
            "10.0.0.3",
        ),
        (
            Box::new(|limits| limits.connections_per_source = 2),
            ["2001:db8::1", "2001:db8::2"],
            "2001:db8::3",
        ),
    ] {
        let counting = Counting::new(InsecureCrypto);
        let scenario = limited(&counting, change);
        let here = crowd.map(|address| from(&scenario, address));
        assert_eq!(scenario.server.connections(), 2);

        let mut scripted = ScriptedPeer::new(from(&scenario, late), scenario.client.clone(), &[]);
        let before = counting.opened();
        scripted.exchange_keys();
        assert_eq!(counting.opened(), before);
        assert_eq!(scripted.hear_message(), busy.encode());
        assert_eq!(scripted.leave(), Err(Refusal::TooManyConnections.into()));
        drop(scripted);

        let mut late_session = from(&scenario, late);
        let told = run(
            &mut late_session,
            &mut scenario.scripted(vec![Operation::Information]),
            &[],
            Wire::default(),
        );
        assert_eq!(told.client, Err(Error::PeerRefused(busy.clone())));
        drop((here, late_session));
        let welcome = run(
            &mut from(&scenario, late),
            &mut scenario.scripted(vec![Operation::Information]),
            &[],
            Wire::default(),
        );
        assert_eq!(welcome.client, Ok(()));
        assert_eq!(scenario.server.connections(), 0);
    }
}

/// Clients behind a proxy or a tunnel connect from the server's own machine.
#[test]
fn the_servers_own_machine_is_not_one_source() {
    let scenario = limited(&InsecureCrypto, |limits| {
        (limits.connections, limits.connections_per_source) = (4, 1);
    });
    let all: Vec<_> = ["127.0.0.1", "127.0.0.1", "::1", "::ffff:127.0.0.1"]
        .map(|address| from(&scenario, address))
        .into();
    assert_eq!(scenario.server.connections(), 4);
    let mut late = from(&scenario, "127.0.0.1");
    let told =
        run(&mut late, &mut scenario.scripted(vec![Operation::Information]), &[], Wire::default());
    assert_eq!(code(told.client), Some(ErrorCode::Busy), "the limit of all is theirs too");
    drop(all);
}

/// Garbage costs one private operation, and the connection is closed.
#[test]
fn garbage_after_the_key_costs_one_private_operation() {
    let counting = Counting::new(InsecureCrypto);
    let scenario = Scenario::with(&counting);
    let mut scripted = ScriptedPeer::new(scenario.server(store()), scenario.client.clone(), &[]);
    scripted.exchange_keys();
    let before = counting.opened();
    scripted.say_raw(&vec![0xa5; 64 * 1024]);
    assert!(matches!(scripted.leave(), Err(Error::BlockDoesNotOpen)));
    assert_eq!(counting.opened() - before, 1);
}

/// What cannot become a first message costs no more than a garbage block (§3.10), whatever follows
/// it.
#[test]
fn what_cannot_become_a_first_message_costs_one_private_operation() {
    let rest = |count: usize| (0..count).flat_map(|_| block(&[b'x'; 214])).collect::<Vec<u8>>();
    let all = |first: &[u8]| [block(first).to_vec(), rest(30)].concat();
    let full = |first: &[u8]| all(&[first, &vec![b'x'; 214 - first.len()]].concat());
    let whole =
        format!("H\0FSS/2\0share={}\0secret={}\0", to_base64(&[9; 32]), to_base64(&[8; 32]));
    let (all_versions, legacy, fss2) = (Versions::All, Versions::Legacy, Versions::Fss2);
    for (versions, wire, opened, signed) in [
        (all_versions, all(b"F\0QUFB"), 1, 0),
        (all_versions, all(b"x"), 1, 0),
        (all_versions, all(b"Ux"), 1, 0),
        (all_versions, all(b"U\0a\0b"), 1, 0),
        (all_versions, all(b"U\0\0"), 1, 0),
        (all_versions, all(b"D\0../../etc"), 1, 0),
        (all_versions, all(b"D\x001\0a\0b"), 1, 0),
        (all_versions, all(b"E\0I give up"), 1, 0),
        (all_versions, all(b"H\0FSS/3\0"), 1, 0),
        (all_versions, all(whole.as_bytes()), 1, 1),
        // An incomplete password is checked again with each block; this one gets too long.
        (all_versions, full(b"U\0password"), 5, 0),
        (all_versions, full(b"D\x001\0password"), 5, 0),
        // No client splits a message into pieces that are not full.
        (all_versions, all(b"U\0password"), 2, 0),
        (all_versions, all(b"D"), 2, 0),
        (all_versions, [block(b"U\0password").to_vec(), vec![0xa5; 4000]].concat(), 2, 0),
        (legacy, all(whole.as_bytes()), 1, 0),
        (fss2, all(b"U\0password\0"), 1, 0),
        (fss2, all(b"U"), 1, 0),
    ] {
        let counting = Counting::new(InsecureCrypto);
        let scenario = Scenario::with(&counting);
        let server = scenario.server.clone().with_versions(versions);
        let mut scripted = ScriptedPeer::new(
            ServerSession::with_rng(store(), &server, SeededRng(1)),
            scenario.client.clone(),
            &[],
        );
        scripted.exchange_keys();
        let before = counting.opened();
        scripted.say_raw(&wire);
        let _ = scripted.leave();
        let name = wire[..40].escape_ascii().to_string();
        assert_eq!((counting.opened() - before, counting.signed()), (opened, signed), "{name}");
    }
}

/// The signature is made in a poll of its own: others have a turn between the two private
/// operations (§24).
#[test]
fn a_hello_is_opened_and_signed_for_in_two_polls() {
    let counting = Counting::new(InsecureCrypto);
    let scenario = Scenario::with(&counting);
    let mut server = scenario.server(store());
    let whole =
        format!("H\0FSS/2\0share={}\0secret={}\0", to_base64(&[9; 32]), to_base64(&[8; 32]));
    let key = key_exchange::write(scenario.client.identity().public_key().as_bytes());
    let mut wire = [key, block(whole.as_bytes()).to_vec()].concat();
    let mut most = 0;
    for _ in 0..20 {
        let before = counting.opened() + counting.signed();
        let step = server.poll(Time::ZERO).expect("all is well");
        most = most.max(counting.opened() + counting.signed() - before);
        match step {
            Step::Send => {
                let count = server.buffers().1.len();
                server.sent(count);
            }
            Step::Receive if !wire.is_empty() => {
                let room = server.buffers().0;
                let count = room.len().min(wire.len());
                room[..count].copy_from_slice(&wire[..count]);
                wire.drain(..count);
                server.received(count);
            }
            _ => {}
        }
    }
    assert_eq!((counting.opened(), counting.signed(), most), (1, 1, 1));
}

/// The first block may follow white space, so garbage that begins so has three tries, and no more.
#[test]
fn garbage_with_white_space_costs_three() {
    let counting = Counting::new(InsecureCrypto);
    let scenario = Scenario::with(&counting);
    let mut scripted = ScriptedPeer::new(scenario.server(store()), scenario.client.clone(), &[]);
    let key = key_exchange::write(scenario.client.identity().public_key().as_bytes());
    let _ = scripted.hear_raw();
    scripted.say_raw(&key);
    let before = counting.opened();
    scripted.say_raw(&[&b"\r\n \n"[..], &vec![0xa5; 64 * 1024]].concat());
    assert!(scripted.leave().is_err());
    assert!(counting.opened() - before <= 3);
}

/// An upload of the shortest records, every 30 seconds: each record is in time, and the connection
/// still ends.
#[test]
fn tiny_records_do_not_hold_a_connection_for_ever() {
    let scenario = Scenario::fast();
    let store = store();
    let mut scripted = scenario.with_client_by_hand(store.clone());
    let _ = scripted.ask(&Request::Upload(new_upload()));
    let mut seconds = 0;
    while scripted.end().is_none() {
        assert!(seconds < 300, "it holds the connection");
        scripted.say(&Request::Data(&[5; 4096]).encode());
        scripted.let_pass(Duration::from_secs(30));
        seconds += 30;
    }
    assert!((90..=150).contains(&seconds), "{seconds} s");
    assert_eq!(scripted.end(), Some(&Err(Error::TimedOut(Phase::Transfer))));
    assert_eq!(scripted.hear_refusal().code, Some(ErrorCode::Idle));
    assert!(scripted.events.iter().all(|event| !matches!(event, ServerEvent::Stored { .. })));
}

/// Who takes a download a little at a time is no better off.
#[test]
fn a_download_that_is_hardly_read_ends() {
    let scenario = Scenario::fast();
    let store = stored(&vec![7; 4 << 20]);
    let mut scripted = scenario.with_client_by_hand(store);
    let request = download_by_hand(&scripted, 1, &cookie());
    let _ = scripted.ask(&request);
    // All of it is within the window, so nothing is left to send; acknowledgements must come.
    let mut seconds = 0;
    while scripted.end().is_none() && seconds < 200 {
        seconds += 10;
        scripted.say(&Request::Taken { offset: seconds / 10 * 65_536 }.encode());
        scripted.let_pass(Duration::from_secs(10));
    }
    assert!((60..=120).contains(&seconds), "{seconds} s");
}

/// A client that does not complete a record cannot keep its buffer from others that need it.
#[test]
fn unfinished_records_are_cut_off_while_buffers_are_short() {
    let uploading = |scenario: &Scenario| {
        let mut scripted = scenario.with_client_by_hand(store());
        let _ = scripted.ask(&Request::Upload(new_upload()));
        let record = scripted.sealed(&Request::Data(&vec![5; 200_000]).encode());
        scripted.say_raw(&record[..5000]);
        scripted
    };
    let scenario = limited(&InsecureCrypto, |limits| limits.record_buffers = 2);
    let mut all = [uploading(&scenario), uploading(&scenario)];
    all[0].let_pass(Duration::from_millis(4999));
    assert_eq!(all[0].end(), None);
    all[0].let_pass(Duration::from_millis(1));
    assert_eq!(all[0].leave(), Err(Error::TimedOut(Phase::Transfer)));
    // Its buffer is free again, but hardly any is.
    all[1].let_pass(Duration::from_secs(59));
    assert_eq!(all[1].end(), None, "nobody waits for it");

    let mut alone = uploading(&Scenario::fast());
    alone.let_pass(Duration::from_secs(59));
    assert_eq!(alone.end(), None);
    alone.let_pass(Duration::from_secs(1));
    assert!(alone.leave().is_err());
}

/// A download at a fair rate continues while buffers are short: each record has its own time.
#[test]
fn a_steady_download_goes_on_while_buffers_are_short() {
    const SIZE: usize = 6 << 20;
    let scenario = limited(&InsecureCrypto, |limits| limits.record_buffers = 2);
    let store = stored(&vec![7; SIZE]);
    let mut holder = scenario.with_client_by_hand(self::store());
    let _ = holder.ask(&Request::Upload(new_upload()));
    let record = holder.sealed(&Request::Data(&vec![5; 200_000]).encode());
    holder.say_raw(&record[..5000]);
    let mut scripted = scenario.with_client_by_hand(store);
    // A record takes a second, all of them half a minute; the window is not full before.
    scripted.hear_slowly(64 * 1024, Duration::from_millis(270));
    let request = download_by_hand(&scripted, 1, &cookie());
    scripted.say(&request.encode());
    assert_eq!(scripted.end(), None);
    assert!(scripted.said().len() > SIZE);
}

/// Between operations a connection may rest as long as it says something within the idle time.
#[test]
fn a_connection_at_rest_needs_no_pace() {
    let mut scripted = Scenario::fast().with_client_by_hand(store());
    for _ in 0..100 {
        scripted.let_pass(Duration::from_secs(59));
        let _ = scripted.ask(&Request::Information);
    }
    assert_eq!(scripted.leave(), Ok(()));
}
