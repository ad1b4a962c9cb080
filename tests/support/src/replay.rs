//! Bytes replayed to a machine, as by a peer that sends them and closes.

use std::time::Duration;

use fss::{Error, Machine, Step, Time};

/// More steps than any test needs.
const STEPS: usize = 200_000;

/// How a machine took it.
#[derive(Debug)]
pub struct Replayed {
    /// How it ended.
    pub end: Result<(), Error>,
    /// All that it sent, its key first.
    pub said: Vec<u8>,
}

/// Plays bytes to a machine, then the end of the stream. `serve` gives it what it needs of its
/// caller, `report` gets what it reports.
///
/// # Panics
/// If the machine does not end.
pub fn replay<M: Machine>(
    machine: &mut M,
    mut wire: &[u8],
    mut serve: impl FnMut(&mut M, M::Request),
    mut report: impl FnMut(M::Event),
) -> Replayed {
    let (mut said, mut now) = (Vec::new(), Time::ZERO);
    for _ in 0..STEPS {
        match machine.poll(now) {
            Ok(Step::Close) => return Replayed { end: machine.poll(now).map(drop), said },
            Err(error) => return Replayed { end: Err(error), said },
            Ok(Step::Send) => {
                let output = machine.buffers().1;
                said.extend_from_slice(output);
                let count = output.len();
                machine.sent(count);
            }
            Ok(Step::Receive) => {
                let room = machine.buffers().0;
                let count = room.len().min(wire.len());
                assert!(!room.is_empty(), "there is room when something is to be received");
                room[..count].copy_from_slice(&wire[..count]);
                wire = &wire[count..];
                machine.received(count);
                now = now + Duration::from_millis(10);
            }
            Ok(Step::Sleep(time)) => now = now + time,
            Ok(Step::Request(request)) => serve(machine, request),
            Ok(Step::Event(event)) => report(event),
            Ok(Step::Yield | Step::Shutdown) => {}
        }
    }
    panic!("the machine does not end");
}
