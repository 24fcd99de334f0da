#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| limpid_fuzz::cost::bounded(input, limpid_fuzz::usage::check));
