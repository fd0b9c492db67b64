//! `account import`: a map from another device, or from the pod where that device is lost.

use autonomy_wallet::account::{AccountMap, MAX_MAP_BYTES};
use serde_json::{Value, json};

use super::chosen::listed_by_device;
use crate::{
    Failure,
    args::ImportAccount,
    ask,
    context::{Context, now},
    output::Report,
    payee, terminal,
};
use autonomy_client::printable;

/// Keeps an account map, after checking that it is a safe one of the pod's network.
///
/// # Errors
/// The text is not an account map, the map breaks a rule, or the known address is none of it.
pub(super) async fn import(context: &Context, wish: &ImportAccount) -> Result<Report, Failure> {
    match &wish.map {
        Some(text) => from_text(context, text).await,
        None => from_pod(context, wish).await,
    }
}

/// A map from another device. The first address is shown for comparison: whoever changed the map on the way could
/// receive the money.
async fn from_text(context: &Context, text: &str) -> Result<Report, Failure> {
    let text = ask::text(text)?;
    if text.len() > MAX_MAP_BYTES {
        return Err(Failure::usage(format!("an account map has at most {MAX_MAP_BYTES} bytes")));
    }
    let map = read(&text)?;
    let mut profile = context.profile().await?;
    if let Some(pod) = profile.pod() {
        map.check_network(pod.network()).map_err(|error| Failure::check("unsafe-account", error))?;
    }
    let report = held_here(&map).hint("Compare the first address with the other device.");
    profile.import_account(map, now())?;
    Ok(report)
}

/// The map of a text. Where it is another program's form of an account, that is said.
fn read(text: &str) -> Result<AccountMap, Failure> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let map = AccountMap::from_bytes(text.as_bytes());
    map.map_err(|error| match foreign_form(text) {
        Some(form) => Failure::usage(format!("this is {form}, not an account map"))
            .help("give what `autonomy account export` printed on the device that holds the account"),
        None => Failure::check("unsafe-account", error),
    })
}

/// What a text is that another program, or another verb, made of an account.
fn foreign_form(text: &str) -> Option<&'static str> {
    if text.starts_with("wsh(") || text.starts_with("sh(") || text.starts_with("tr(") {
        return Some("a descriptor alone");
    }
    let json: Value = serde_json::from_str(text).ok()?;
    let has = |name: &str| json.get(name).is_some();
    match &json {
        _ if has("importdescriptors") => Some("input for Bitcoin Core"),
        Value::Array(list) if list.iter().any(|item| item.get("desc").is_some()) => {
            Some("input for Bitcoin Core")
        }
        _ if has("label") && has("blockheight") && has("descriptor") => Some("a Specter export"),
        _ if has("policyType") || has("keystores") => Some("a Sparrow export"),
        _ if has("extendedPublicKeys") && has("quorum") => Some("a Caravan export"),
        _ => None,
    }
}

/// A map from the pod. Without a known address from the command line, a person is asked for one.
async fn from_pod(context: &Context, wish: &ImportAccount) -> Result<Report, Failure> {
    let (mut device, accounts) = listed_by_device(context, "take an account map").await?;
    let account = accounts.choose(wish.account.as_deref())?;
    let id = account.reported.id;
    if account.verified {
        let detail = format!(
            "this device holds the map of account {} already",
            printable(account.reported.name.as_str())
        );
        return Err(Failure::usage(detail));
    }
    let known = match &wish.known {
        Some(known) => known.clone(),
        None => asked()?,
    };
    let known = payee::read(known.trim())?;
    let adopting = device.adopt_map(&id, &known, now());
    let map = context.spinner.during("comparing the pod's map", adopting).await?;
    Ok(held_here(&map))
}

/// Asks for an address that the owner knows.
fn asked() -> Result<String, Failure> {
    if !terminal::has_person() {
        return Err(Failure::usage("an address of the account that you know from before is missing")
            .help("give it with --known: one that somebody has paid to, or that you have noted"));
    }
    ask::prompt(
        "An address of this account that you know from before (somebody has paid to it, or you noted it): ",
    );
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| Failure::other("input", error))?;
    Ok(line)
}

fn held_here(map: &AccountMap) -> Report {
    let json =
        json!({ "id": map.id(), "name": map.name(), "first_address": map.first_address().to_string() });
    let text = format!(
        "account {} is held here now\nits first address is {}",
        printable(map.name()),
        map.first_address()
    );
    Report::new(&json, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_other_programs_are_named() {
        for (text, form) in [
            ("wsh(sortedmulti(2,A,B,C))#abcdefgh", "a descriptor alone"),
            ("{\"importdescriptors\": []}", "input for Bitcoin Core"),
            ("[{\"desc\": \"wsh()\"}]", "input for Bitcoin Core"),
            ("{\"label\": \"a\", \"blockheight\": 1, \"descriptor\": \"x\"}", "a Specter export"),
            ("{\"policyType\": \"MULTI\", \"keystores\": []}", "a Sparrow export"),
            ("{\"quorum\": {}, \"extendedPublicKeys\": []}", "a Caravan export"),
        ] {
            let failure = read(text).unwrap_err();
            assert!(failure.detail.contains(form), "{text}: {}", failure.detail);
        }
        assert_eq!(read("hello").unwrap_err().kind, "unsafe-account");
    }
}
