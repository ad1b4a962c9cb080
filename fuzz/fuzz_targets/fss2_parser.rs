//! What FSS/2 reads below its machines.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fss_test_support::fuzz::fss2_parser(data));
