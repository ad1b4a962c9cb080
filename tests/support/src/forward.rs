//! A machine that is another one with something around it.

/// Implements all of `Machine` but the poll for a type that has one in a field: `poll` is a method
/// of its own, or the field's.
macro_rules! forward_machine {
    (
        [$($generics:tt)*] $machine:ty, $event:ty, $request:ty,
        $field:ident, $($poll:ident).+
    ) => {
        impl<$($generics)*> fss::Machine for $machine {
            type Event = $event;
            type Request = $request;

            fn poll(
                &mut self,
                now: fss::Time,
            ) -> Result<fss::Step<$event, $request>, fss::Error> {
                self.$($poll).+(now)
            }

            fn buffers(&mut self) -> (&mut [u8], &[u8]) {
                self.$field.buffers()
            }

            fn received(&mut self, count: usize) {
                self.$field.received(count);
            }

            fn sent(&mut self, count: usize) {
                self.$field.sent(count);
            }

            fn send_failed(&mut self) {
                self.$field.send_failed();
            }

            fn set_waker(&mut self, waker: std::task::Waker) {
                self.$field.set_waker(waker);
            }

            fn deadline(&self) -> Option<fss::Time> {
                self.$field.deadline()
            }
        }
    };
}
pub(crate) use forward_machine;
