//! Every operation between our own client and server.

use fss::chain::Chain;
use fss::client::ClientEvent;
use fss::sealed::{CHUNK, Header, Reader};
use fss::server::ServerEvent;
use fss::store::Store as _;
use fss_test_support::sim_net::Wire;

use super::*;

/// Sizes around every border: of the first chunk with its metadata, of chunks, of records.
fn sizes() -> Vec<usize> {
    let metadata = metadata().encode().expect("it is short").len();
    let around = |size: usize| [size - 1, size, size + 1];
    let borders = [CHUNK, 2 * CHUNK, 4 * CHUNK, 8 * CHUNK].map(|border| around(border - metadata));
    [vec![0, 1, 1000], borders.concat(), vec![CHUNK, 4 * CHUNK, 3_000_000]].concat()
}

/// P6: what one side reports sent, the other reports received; and what is stored is a sealed file
/// that opens by itself.
#[test]
fn p6_every_size_arrives_whole_both_ways() {
    for size in sizes() {
        for known in [Some(size), None] {
            let (store, scenario) = (store(), Scenario::fast());
            let up = scenario.run(
                &store,
                vec![Operation::Upload(upload(known))],
                &file(size),
                Wire::default(),
            );
            assert_eq!((&up.client, &up.server), (&Ok(()), &Ok(())), "{size} {known:?}");
            let Some(ClientEvent::Uploaded { cookie: told, stored, chain }) =
                up.client_events.last()
            else {
                panic!("{:?}", up.client_events)
            };
            assert_eq!(*told, cookie());
            assert_eq!(
                up.server_events.last(),
                Some(&ServerEvent::Stored { cookie: cookie(), bytes: *stored, received: *stored })
            );

            let mut kept = store.open(&cookie()).expect("the store works").expect("it is there");
            assert_eq!((kept.file().size, kept.file().chain), (*stored, Some(*chain)));
            let length = usize::try_from(*stored).expect("it is small");
            let sealed = read(&mut *kept, 0, length).expect("it can be read");
            let mut whole = Chain::new(&header().to_bytes());
            whole.update(&sealed);
            assert_eq!(whole.digest(), *chain);
            let key = key(1);
            let mut reader = Reader::new(&*sealed, &key, &header()).expect("it opens");
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut content).expect("it opens");
            assert!(content == file(size), "{size}");
            assert_eq!(
                sealed.len() + Header::LENGTH,
                usize::try_from(*stored).expect("small") + 64
            );

            let down = scenario.download(&store, Wire::default());
            assert_eq!((&down.client, &down.server), (&Ok(()), &Ok(())), "{size}");
            assert!(down.file == file(size), "{size}");
            assert_eq!(
                down.client_events.last(),
                Some(&ClientEvent::Downloaded { size: size as u64, guessed: false })
            );
            assert_eq!(
                down.server_events.last(),
                Some(&ServerEvent::Delivered { cookie: cookie(), bytes: *stored, sent: *stored })
            );
        }
    }
}
