//! An engine whose requests the test answers, as a driver with storage of its own does.

use std::convert::Infallible;

use fss::server::{ServerEngine, ServerEvent};
use fss::store::Store;
use fss::store::transfer::{StoreRequest, Transfer};
use fss::{Error, Machine as _, Step, Time};

use crate::forward::forward_machine;

/// An engine, and what answers it.
pub struct Answered<S> {
    engine: ServerEngine,
    transfer: Transfer<S>,
}

impl<S: Store> Answered<S> {
    /// Answers from this store.
    pub fn new(engine: ServerEngine, store: S) -> Self {
        Self { engine, transfer: Transfer::new(store) }
    }

    fn poll_and_answer(&mut self, now: Time) -> Result<Step<ServerEvent>, Error> {
        loop {
            match self.engine.poll(now)? {
                Step::Request(request) => {
                    // Until it is answered, the same is asked for; of a read, the buffer is another
                    // one, if there is one while the first is lent.
                    match (&request, self.engine.poll(now)) {
                        (StoreRequest::Read { offset, buffer }, Ok(Step::Request(again))) => {
                            let StoreRequest::Read { offset: at, buffer: other } = again else {
                                panic!("{again:?}");
                            };
                            assert_eq!(
                                (at, other.as_ref().len()),
                                (*offset, buffer.as_ref().len())
                            );
                        }
                        (StoreRequest::Read { .. }, Ok(Step::Sleep(_))) => {}
                        (_, Ok(Step::Request(again))) => assert_eq!(again, request),
                        (_, other) => panic!("{other:?}"),
                    }
                    assert_eq!(
                        self.engine.deadline(),
                        None,
                        "the peer is not to blame for slow storage"
                    );
                    let reply = self.transfer.answer(request);
                    self.engine.complete(reply);
                }
                Step::Send => return Ok(Step::Send),
                Step::Receive => return Ok(Step::Receive),
                Step::Sleep(time) => return Ok(Step::Sleep(time)),
                Step::Event(event) => return Ok(Step::Event(event)),
                Step::Yield => return Ok(Step::Yield),
                Step::Shutdown => return Ok(Step::Shutdown),
                Step::Close => return Ok(Step::Close),
            }
        }
    }
}

forward_machine!([S: Store] Answered<S>, ServerEvent, Infallible, engine, poll_and_answer);
