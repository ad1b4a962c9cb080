//! A directory that comes from a stranger.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fss_test_support::fuzz::unpack(data));
