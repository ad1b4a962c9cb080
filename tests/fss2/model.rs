//! P14: whatever clients do one after another, the server has what a map from cookies to bytes
//! would have.

use std::collections::BTreeMap;

use fss::client::Resume;
use fss::store::{EmbeddedStore, OpenOptions};
use proptest::prelude::*;

use super::*;

/// An operation. A number selects a size, an offset or a file among those that exist.
#[derive(Clone, Debug)]
enum Action {
    Upload(usize),
    /// An upload of a size that is interrupted in transit.
    Break(usize, usize),
    /// The same on the way back: the server may have it all.
    BreakAnswer(usize, usize),
    Resume(usize),
    Download(usize),
    Delete(usize),
    List,
    /// The server starts anew.
    Restart,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let (size, pick) = (0..150_000_usize, any::<usize>());
    let action = prop_oneof![
        3 => size.clone().prop_map(Action::Upload),
        2 => (size.clone(), pick).prop_map(|(size, at)| Action::Break(size, at)),
        2 => (size, pick).prop_map(|(size, at)| Action::BreakAnswer(size, at)),
        2 => pick.prop_map(Action::Resume),
        2 => pick.prop_map(Action::Download),
        1 => pick.prop_map(Action::Delete),
        1 => Just(Action::List),
        1 => Just(Action::Restart),
    ];
    prop::collection::vec(action, 1..20)
}

/// An interrupted upload.
struct Unfinished {
    cookie: Cookie,
    content: Vec<u8>,
    noted: Vec<(u64, fss::chain::ChainDigest)>,
}

/// The model, and what it is compared with.
struct Harness<S> {
    store: S,
    scenario: Scenario,
    files: BTreeMap<Cookie, Vec<u8>>,
    unfinished: Vec<Unfinished>,
    /// Makes each content another one.
    uploads: u8,
}

impl<S: Store> Harness<S> {
    fn new(store: S) -> Self {
        Self {
            store,
            scenario: Scenario::fast(),
            files: BTreeMap::new(),
            unfinished: Vec::new(),
            uploads: 0,
        }
    }

    fn run(&self, operation: Operation, source: &[u8], wire: Wire) -> Outcome<ClientEvent> {
        self.scenario.run(&self.store, vec![operation], source, wire)
    }

    fn content(&mut self, size: usize) -> Vec<u8> {
        self.uploads = self.uploads.wrapping_add(1);
        file(size).into_iter().map(|byte| byte ^ self.uploads).collect()
    }

    /// Uploads, or tries to. What the client does not know to be there is unfinished.
    fn upload(&mut self, content: Vec<u8>, wire: Wire) {
        let outcome = self.run(Operation::Upload(upload(Some(content.len()))), &content, wire);
        self.note(outcome, content, Vec::new());
    }

    fn note(
        &mut self,
        outcome: Outcome<ClientEvent>,
        content: Vec<u8>,
        mut noted: Vec<(u64, fss::chain::ChainDigest)>,
    ) {
        let mut begun = None;
        for event in outcome.client_events {
            match event {
                ClientEvent::UploadStarted { cookie, offset, .. } => {
                    noted.retain(|(at, _)| *at <= offset);
                    begun = Some(cookie);
                }
                ClientEvent::Checkpoint { offset, chain }
                | ClientEvent::Finishing { offset, chain } => {
                    noted.push((offset, chain));
                }
                ClientEvent::Uploaded { cookie, .. } => {
                    self.files.insert(cookie, content);
                    return;
                }
                _ => {}
            }
        }
        if let Some(cookie) = begun {
            self.unfinished.push(Unfinished { cookie, content, noted });
        }
    }

    fn resume(&mut self, pick: usize) {
        if self.unfinished.is_empty() {
            return;
        }
        let Unfinished { cookie, content, noted } =
            self.unfinished.remove(pick % self.unfinished.len());
        let resume = Resume { upload: upload(Some(content.len())), cookie, noted: noted.clone() };
        // No file here has a checkpoint, so the server has all of it or begins anew.
        let outcome = self.run(Operation::Resume(resume), &content, Wire::default());
        assert_eq!(outcome.client, Ok(()));
        self.note(outcome, content, noted);
    }

    fn download(&self, pick: usize) {
        let Some((cookie, content)) = self.files.iter().nth(pick % self.files.len().max(1)) else {
            return;
        };
        let download = Download { cookie: cookie.clone(), ..download() };
        let outcome = self.run(Operation::Download(download), &[], Wire::default());
        assert_eq!(outcome.client, Ok(()));
        assert!(outcome.file == *content, "another file comes back");
    }

    fn delete(&mut self, pick: usize) {
        let Some(cookie) = self.files.keys().nth(pick % self.files.len().max(1)).cloned() else {
            return;
        };
        let outcome = self.run(
            Operation::Delete { cookie: cookie.clone(), verifier: None },
            &[],
            Wire::default(),
        );
        assert_eq!(outcome.client_events.last(), Some(&ClientEvent::Deleted));
        self.files.remove(&cookie);
    }

    /// The files that the server lists are those of the model, and those that it completed without
    /// the client hearing of it.
    fn list(&self) {
        let outcome = self.run(Operation::List { after: None }, &[], Wire::default());
        let listed: Vec<Cookie> = outcome
            .client_events
            .into_iter()
            .filter_map(|event| match event {
                ClientEvent::Listed(entry) => Some(entry.cookie),
                _ => None,
            })
            .collect();
        let is_known = |cookie: &Cookie| {
            self.files.contains_key(cookie)
                || self.unfinished.iter().any(|unfinished| unfinished.cookie == *cookie)
        };
        assert!(
            self.files.keys().all(|cookie| listed.contains(cookie)) && listed.iter().all(is_known),
            "{listed:?}"
        );
    }
}

/// Does all, and looks at every file in the end. `restart` closes and opens the store.
fn agree<S: Store>(store: S, actions: Vec<Action>, mut restart: impl FnMut(S) -> S) {
    let mut harness = Harness::new(store);
    for action in actions {
        match action {
            Action::Upload(size) => {
                let content = harness.content(size);
                harness.upload(content, Wire::default());
            }
            Action::Break(size, at) => {
                let content = harness.content(size);
                let at = at % (size + 1000);
                harness.upload(content, Wire { to_server: Some(at), ..Wire::default() });
            }
            Action::BreakAnswer(size, at) => {
                let content = harness.content(size);
                harness
                    .upload(content, Wire { to_client: Some(900 + at % 900), ..Wire::default() });
            }
            Action::Resume(pick) => harness.resume(pick),
            Action::Download(pick) => harness.download(pick),
            Action::Delete(pick) => harness.delete(pick),
            Action::List => harness.list(),
            Action::Restart => harness = Harness { store: restart(harness.store), ..harness },
        }
    }
    harness.list();
    (0..harness.files.len()).for_each(|pick| harness.download(pick));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p14_a_store_in_memory_is_a_map(actions in actions()) {
        agree(store(), actions, |store| store);
    }

    #[test]
    fn p14_a_directory_is_a_map(actions in actions()) {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || OpenOptions::default().cookies(SequentialCookies).open(directory.path()).expect("it opens");
        agree(open(), actions, |store: EmbeddedStore| {
            drop(store);
            open()
        });
    }
}
