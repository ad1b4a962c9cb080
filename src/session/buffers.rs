//! The two byte buffers of a session. Neither grows with what a peer says.

use zeroize::Zeroize as _;

use crate::wire::rsa_channel::MAX_MESSAGE;

/// Bytes that came and are not used up: at most one message.
#[derive(Debug)]
pub(crate) struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    ended: bool,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; MAX_MESSAGE].into(), start: 0, end: 0, ended: false }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Room for more; empty when the buffer is full, and after the end.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let end = if self.ended { self.buffer.len() } else { self.end };
        &mut self.buffer[end..]
    }

    pub(crate) fn filled(&mut self, count: usize) {
        self.ended |= count == 0;
        self.end = (self.end + count).min(self.buffer.len());
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Whether the peer has said that it will send no more. Bytes from before may still be there.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}

/// Bytes that wait to be written: one message, or our key.
#[derive(Debug, Default)]
pub(crate) struct Output {
    buffer: Vec<u8>,
    sent: usize,
}

impl Output {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.sent..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.buffer.len()
    }

    /// The buffer to append to; what has been sent is dropped from it.
    pub(crate) fn append(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.sent);
        self.sent = 0;
        &mut self.buffer
    }

    pub(crate) fn sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.buffer.len());
        if self.is_empty() {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.buffer.zeroize();
        self.buffer.clear();
        self.sent = 0;
    }
}
