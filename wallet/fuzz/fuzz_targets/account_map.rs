//! Any bytes as an account map: refused, or the same map when written and read again.
#![no_main]

use autonomy_wallet::account::AccountMap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(map) = AccountMap::from_bytes(bytes) {
        let again = AccountMap::from_bytes(&map.to_bytes()).expect("what we write we read");
        assert_eq!(again, map);
    }
});
