//! The types of the API from outside: whatever one of them holds, it reads back from its JSON, and from the CBOR in which
//! pods keep answers and events.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod money;
mod people;
mod values;

use serde::{Serialize, de::DeserializeOwned};

/// Writes a value and reads it back, in both formats.
fn reads_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let json = serde_json::to_vec(value).unwrap();
    let read: T = autonomy_api::from_json(&json).unwrap_or_else(|error| panic!("{value:?}: {error}"));
    assert_eq!(&read, value);
    let mut cbor = Vec::new();
    ciborium::into_writer(value, &mut cbor).unwrap();
    let read: T = ciborium::from_reader(cbor.as_slice()).unwrap_or_else(|error| panic!("{value:?}: {error}"));
    assert_eq!(&read, value);
}

/// A test for each strategy: what it draws reads back.
macro_rules! read_back {
    ($($name:ident: $strategy:expr;)+) => {
        proptest::proptest! {
            #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
            $(
                #[test]
                fn $name(value in $strategy) {
                    crate::reads_back(&value);
                }
            )+
        }
    };
}

use read_back;
