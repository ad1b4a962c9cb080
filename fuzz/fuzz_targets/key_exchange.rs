//! The key that a peer sends first.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fss_test_support::fuzz::key_exchange(data));
