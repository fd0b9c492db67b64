//! The address that is paid: of the pod's network, or refused by what it is instead.

use autonomy_wallet::bitcoin::{Address, Network, address::NetworkUnchecked};

use super::Failure;

/// Beginnings of texts that are copied in the place of an address, and what they are.
const MISTAKEN: [(&str, &str); 14] = [
    ("npub1", "a Nostr key"),
    ("nsec1", "a Nostr private key"),
    ("lnbc", "a Lightning invoice"),
    ("lntb", "a Lightning invoice"),
    ("lno1", "a Lightning offer"),
    ("sp1", "a silent payment address"),
    ("tsp1", "a silent payment address"),
    ("xpub", "an extended public key"),
    ("tpub", "an extended public key"),
    ("vpub", "an extended public key"),
    ("zpub", "an extended public key"),
    ("xprv", "an extended private key"),
    ("tprv", "an extended private key"),
    ("autonomy-", "a text of this program"),
];

/// Reads an address of any network. Nothing of a refused text is repeated: it may be a private key.
///
/// # Errors
/// It is none.
pub(super) fn read(text: &str) -> Result<Address<NetworkUnchecked>, Failure> {
    text.parse().map_err(|_| refused(text))
}

/// Checks that an address is one of `network`.
///
/// # Errors
/// It is of another one.
pub(super) fn check_network(address: &Address<NetworkUnchecked>, network: Network) -> Result<(), Failure> {
    if address.is_valid_for_network(network) {
        return Ok(());
    }
    let detail = format!("this address is of {}, and the pod is on {network}", networks_of(address));
    Err(Failure::usage(detail)
        .help("coins sent there would be lost: ask the payee for an address of this network"))
}

/// The networks of an address, in words.
fn networks_of(address: &Address<NetworkUnchecked>) -> &'static str {
    let is_of = |network| address.is_valid_for_network(network);
    match () {
        () if is_of(Network::Bitcoin) => "the main network",
        () if is_of(Network::Signet) => "a public test network",
        () if is_of(Network::Regtest) => "regtest",
        () => "another network",
    }
}

/// The failure of a text that is no address.
fn refused(text: &str) -> Failure {
    let lower = text.to_ascii_lowercase();
    let copied = "copy it again, all of it";
    if let Some((_, what)) = MISTAKEN.iter().find(|(beginning, _)| lower.starts_with(beginning)) {
        return mistaken(what);
    }
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return mistaken("a transaction id");
    }
    if is_wif(text) {
        return mistaken("a private key");
    }
    let segwit = ["bc1", "tb1", "bcrt1"].iter().any(|beginning| lower.starts_with(beginning));
    match segwit {
        true => {
            Failure::usage("the address has a wrong checksum or length: a character is missing or mistyped")
                .help(copied)
        }
        false => Failure::usage("this is not a Bitcoin address: a character may be missing or mistyped")
            .help(copied),
    }
}

fn mistaken(what: &str) -> Failure {
    Failure::usage(format!("this is {what}, not a Bitcoin address"))
        .help("ask the payee for a Bitcoin address")
}

/// Whether a text has the form of a private key: 51 or 52 signs of base58 that begin as such keys do.
fn is_wif(text: &str) -> bool {
    matches!(text.len(), 51 | 52)
        && text.starts_with(['5', '9', 'K', 'L', 'c'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(text: &str, network: Network) -> Result<(), Failure> {
        check_network(&read(text)?, network)
    }

    #[test]
    fn addresses_of_every_kind_that_the_network_relays_are_paid() {
        for text in [
            "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
            "BCRT1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KYGT080",
            "bcrt1qft5p2uhsdcdc3l2ua4ap5qqfg4pjaqlp250x7us7a8qqhrxrxfsqseac85",
            "bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6",
            "bcrt1pfeesnyr2tx",
            "bcrt1sw50qt2uwha",
            "mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r",
            "2N3vVYSK5XRVgSGWy21PnsRmBUywSMi29yw",
        ] {
            assert!(address_of(text, Network::Regtest).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_the_network_is_refused_by_what_it_is() {
        for (text, says) in [
            ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "of a public test network"),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "of the main network"),
            ("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH", "of the main network"),
            ("3CNHUhP3uyB9EUtRLsmvFUmvGdjGdkTxJw", "of the main network"),
            ("ert1qw508d6qejxtdg4y5r3zarvary0c5xw7kuu73e0", "not a Bitcoin address"),
            ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7k35mrzd", "checksum"),
            ("bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqdmchcc", "checksum"),
            ("bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq9dc5xk", "length"),
            ("bcrt1qw508d6qejxtdg4q5r3zarvary0c5xw7kygt080", "checksum"),
            ("npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6", "a Nostr key"),
            ("lnbcrt1p5q", "a Lightning invoice"),
            ("lno1qcp4256ypq", "a Lightning offer"),
            (
                "sp1qqweplq6ylpfrzuq6hfznzmv28djsraupudz0s0dclyt8erh70pgwxkz2ydatksrdzf770umsntsmcjp4kcz7jqu03jeszh0gdmpjzmrf5u4zh0c",
                "a silent payment",
            ),
            ("4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b", "a transaction id"),
            ("autonomy-invite1aeaaaaab5r", "a text of this program"),
            ("", "not a Bitcoin address"),
        ] {
            let failure = address_of(text, Network::Regtest).unwrap_err();
            assert!(failure.detail.contains(says), "{text}: {}", failure.detail);
            assert!(failure.help.is_some());
        }
    }

    #[test]
    fn private_key_in_place_of_an_address_is_never_repeated() {
        for secret in [
            "cVt4o7BGAig1UXywgGSmARhxMdzP5qvQsxKkSsc1XEkw3tDTQFpy",
            "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZ",
        ] {
            let failure = address_of(secret, Network::Regtest).unwrap_err();
            assert!(failure.detail.contains("private key"), "{}", failure.detail);
            assert!(!format!("{failure:?}").contains(&secret[4..20]));
        }
    }
}
