//! A whole client, fed by a server that says anything.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fss_test_support::fuzz::client(data));
