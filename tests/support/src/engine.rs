//! An engine whose requests the test answers, as a driver with storage of its own does.

use std::convert::Infallible;
use std::task::Waker;

use fss::server::{ServerEngine, ServerEvent};
use fss::store::Store;
use fss::store::transfer::{StoreRequest, Transfer};
use fss::{Error, Machine, Step, Time};

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
}

impl<S: Store> Machine for Answered<S> {
    type Event = ServerEvent;
    type Request = Infallible;

    fn poll(&mut self, now: Time) -> Result<Step<ServerEvent>, Error> {
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

    fn buffers(&mut self) -> (&mut [u8], &[u8]) {
        self.engine.buffers()
    }

    fn received(&mut self, count: usize) {
        self.engine.received(count);
    }

    fn sent(&mut self, count: usize) {
        self.engine.sent(count);
    }

    fn send_failed(&mut self) {
        self.engine.send_failed();
    }

    fn set_waker(&mut self, waker: Waker) {
        self.engine.set_waker(waker);
    }

    fn deadline(&self) -> Option<Time> {
        self.engine.deadline()
    }
}
