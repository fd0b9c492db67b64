//! Account maps made outside the project, with addresses derived by a real bitcoind: the same keys must give
//! the same descriptors and addresses, byte for byte.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use autonomy_wallet::account::{AccountMap, Birthday, Keychain, MapKind, Member, MemberLabel, Plan};
use autonomy_wallet::bitcoin::Network;
use autonomy_wallet::keys::{AccountIndex, RecoveryKey, Seed};
use serde_json::Value;

fn vectors() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("vectors/accounts.json")).unwrap();
    all["vectors"].as_array().unwrap().clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> [u8; 32] {
    data_encoding::HEXLOWER.decode(text(value).as_bytes()).unwrap().try_into().unwrap()
}

fn network(vector: &Value) -> Network {
    text(&vector["network"]).parse().unwrap()
}

fn account(vector: &Value) -> AccountIndex {
    AccountIndex::new(vector["account"].as_u64().unwrap() as u32).unwrap()
}

/// P, R and G, made from their secrets.
fn members(vector: &Value) -> [Member; 3] {
    let seed = |label: MemberLabel| {
        let words = text(&vector["keys"][label.as_str()]["mnemonic"]);
        let key = Seed::from_words(words).unwrap().account_key(network(vector), account(vector));
        Member::new(label, *key.public())
    };
    let r = &vector["keys"]["R"];
    let recovery = RecoveryKey::from_parts(&bytes(&r["scalar"]), &bytes(&r["chain_code"])).unwrap();
    let recovery = Member::new(MemberLabel::R, recovery.public(network(vector), account(vector)));
    [seed(MemberLabel::P), recovery, seed(MemberLabel::G)]
}

fn kind(descriptor: &Value) -> MapKind {
    let name = text(&descriptor["kind"]);
    match name.strip_prefix("2-of-3 or R after ") {
        Some(rest) => {
            MapKind::PersonalOrRecovery { blocks: rest.split(' ').next().unwrap().parse().unwrap() }
        }
        None => MapKind::Personal,
    }
}

fn maps() -> impl Iterator<Item = (AccountMap, Value)> {
    vectors().into_iter().flat_map(|vector| {
        let members = members(&vector);
        let descriptors = vector["descriptors"].as_array().unwrap().clone();
        descriptors.into_iter().map(move |descriptor| {
            let plan = Plan {
                name: text(&vector["name"]).into(),
                kind: kind(&descriptor),
                threshold: 2,
                network: network(&vector),
                birthday: Birthday { height: 7, time: 1_700_000_000 },
            };
            (AccountMap::rebuild(plan, &members, &members[0]).unwrap(), descriptor)
        })
    })
}

#[test]
fn secrets_give_the_published_keys() {
    for vector in vectors() {
        for member in members(&vector) {
            let published = &vector["keys"][member.label.as_str()];
            let key = member.key().unwrap();
            let xpub = published.get("xpub").unwrap_or(&published["xpub_depth0"]);
            assert_eq!(key.xpub().to_string(), text(xpub));
            assert_eq!(key.fingerprint().to_string(), text(&published["fingerprint"]));
        }
    }
}

#[test]
fn keys_give_the_same_descriptors() {
    let mut seen = 0;
    for (map, vector) in maps() {
        assert_eq!(map.descriptor(), text(&vector["descriptor"]));
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn descriptors_give_the_addresses_bitcoind_derived() {
    for (map, vector) in maps() {
        for (keychain, name) in [(Keychain::External, "receive"), (Keychain::Internal, "change")] {
            for (index, address) in vector[name].as_array().unwrap().iter().enumerate() {
                assert_eq!(map.address(keychain, index as u32).unwrap().to_string(), text(address));
            }
        }
        assert_eq!(map.first_address().to_string(), text(&vector["receive"][0]));
    }
}

#[test]
fn descriptor_read_back_gives_the_same_map() {
    for (map, vector) in maps() {
        let read = AccountMap::from_descriptor(
            text(&vector["descriptor"]),
            map.name(),
            map.network(),
            map.birthday(),
        );
        assert_eq!(read.unwrap(), map);
        assert_eq!(AccountMap::from_bytes(&map.to_bytes()).unwrap(), map);
    }
}
