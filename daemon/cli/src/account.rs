//! `account …`, `receive`, `history`: accounts, their addresses and their transactions.
//!
//! With a profile, everything about an account is checked against this device's own account map; an
//! account that the device holds no map of is shown as unchecked. Without a profile, at the pod's
//! socket, nothing is checked, and the output says so.

mod chosen;
mod import;

use std::fmt::Write as _;

use autonomy_wallet::{
    account::{AccountId, AccountMap},
    bitcoin::Amount,
};
use serde_json::{Value, json};

use super::{
    Failure,
    amount::{Sat, btc, signed_btc},
    args::{AccountVerb, CreateAccount, ExportFormat, History, Receive},
    ask, bip21,
    context::{Context, Session, now},
    output::{self, Report, pairs, table, time},
    pay::Held,
};
use autonomy_api::{Account, AccountKind, HistoryEntry, ReceiveAddress, Written as _};
use autonomy_client::{
    AccountWish, CallError, DeviceError, ListedAccount, NewAccount, Profile, decks::USUAL_HOLDERS, printable,
};

pub(super) use chosen::{Listing, listed, listed_by_device};
use chosen::{OnlyHere, is_meant, no_account};

/// Carries out a verb of `account`.
///
/// # Errors
/// There is no such account; a check refused; the pod refuses or is not reached.
pub(super) async fn account(context: &Context, verb: AccountVerb) -> Result<Report, Failure> {
    match verb {
        AccountVerb::Create(wish) => create(context, wish).await,
        AccountVerb::List => list(context).await,
        AccountVerb::Show { account } => show(context, account.as_deref()).await,
        AccountVerb::Import(wish) => import::import(context, &wish).await,
        AccountVerb::Export { account, format } => export(context, account.as_deref(), format).await,
    }
}

/// Creates an account with the pod: the device draws the recovery key, splits it into three decks,
/// and keeps the account map. The decks are written before the pod creates the account.
///
/// A ceremony that the pod has not completed leaves no decks behind.
///
/// # Errors
/// Not three holders; the decks cannot be written; or a check of the pod's part refused.
async fn create(context: &Context, wish: CreateAccount) -> Result<Report, Failure> {
    let holders = match wish.holders.len() {
        0 => Ok(USUAL_HOLDERS.map(str::to_owned)),
        _ => wish.holders.try_into(),
    };
    let holders =
        holders.map_err(|_| Failure::usage("three people keep a deck: give --holder three times"))?;
    let decks_dir = wish.decks_dir.map(|dir| std::path::absolute(&dir).unwrap_or(dir));
    let name = ask::written("--name", &wish.name)?;
    let wish = AccountWish { name, kind: wish.kind, holders, decks_dir };
    let mut device = context.device("make an account").await?;
    let work = Box::pin(device.create_account(&wish, now()));
    let made = context.spinner.during("making the account with the pod", work).await?;
    Ok(created(&wish, &made))
}

/// The new account, and what to do with its decks now.
fn created(wish: &AccountWish, made: &NewAccount) -> Report {
    let json = json!({
        "id": made.map.id(), "name": made.map.name(), "descriptor": made.map.descriptor(),
        "first_address": made.map.first_address().to_string(), "account_index": made.reported.account_index,
        "birthday": made.map.birthday(), "decks": made.decks.each_ref().map(|deck| output::path(deck)),
    });
    let mut text = format!(
        "account {} is ready\n{}\nThe recovery key was split and is gone. Its three decks:\n",
        printable(made.map.name()),
        pairs([("id", made.map.id().to_string()), ("first address", made.map.first_address().to_string())]),
    );
    for (holder, path) in wish.holders.iter().zip(&made.decks) {
        let _ = writeln!(text, "  for the {holder}: {}", path.display());
    }
    Report::new(&json, text).hint(
        "Give each file to another person, then delete it here: any two of them make the recovery key whole.\n\
         Keep a copy of the account map too: `autonomy account export`.",
    )
}

/// Lists accounts with balances, and whether this device has checked them.
///
/// The column `map held on this device` says whether the device holds the map, so whether the descriptor is
/// known to be the right one.
async fn list(context: &Context) -> Result<Report, Failure> {
    let Listing { accounts, only_here } = listed(context).await?.1;
    let row = |account: &ListedAccount| {
        let Account { name, id, balance, .. } = &account.reported;
        let held = if account.verified { "yes" } else { "no" };
        let total = format!("{} BTC", btc(balance.total.to_sat()));
        vec![printable(name.as_str()), total, held.into(), id.to_string()]
    };
    let forgotten = |account: &OnlyHere| {
        vec![printable(&account.name), "unknown to the pod".into(), "yes".into(), account.id.clone()]
    };
    let rows: Vec<Vec<String>> = accounts.iter().map(row).chain(only_here.iter().map(forgotten)).collect();
    let json =
        json!({ "accounts": accounts.iter().map(json_of).collect::<Vec<_>>(), "only_here": only_here });
    let text = match rows.is_empty() {
        true => "no account yet".to_owned(),
        false => table(&["name", "balance", "map held on this device", "id"], &rows),
    };
    let next = match (rows.is_empty(), only_here.is_empty()) {
        (true, _) => "Create one with `autonomy account create`.",
        (_, false) => "The pod was restored from a backup that is older than an account it does not know.",
        _ => "",
    };
    Ok(Report::new(&json, text).hint(next))
}

/// Shows one account in full.
///
/// The descriptor is what a person needs to watch the account without this program.
async fn show(context: &Context, wanted: Option<&str>) -> Result<Report, Failure> {
    let (session, accounts) = listed(context).await?;
    let account = accounts.choose(wanted)?;
    let held = Held::of(context, session.pod(), account).await?;
    let Account { name, id, descriptor, first_address, balance, .. } = &account.reported;
    let kind = match account.reported.kind {
        AccountKind::TwoOfThree => "any two of device, pod and recovery key",
        AccountKind::TwoOfThreeOrRecovery => "any two of three, or the recovery key after a year",
        AccountKind::Shared => "as many of its members as the descriptor says",
    };
    let sum = Held::sum(&held);
    let spendable = balance.confirmed.checked_sub(sum).unwrap_or(Amount::ZERO);
    let birthday =
        format!("block {}, {}", account.reported.birthday_height, time(account.reported.birthday_time));
    let mut text = pairs([
        ("name", printable(name.as_str())),
        ("id", id.to_string()),
        ("spent by", kind.to_owned()),
        ("confirmed", format!("{} BTC", btc(balance.confirmed.to_sat()))),
        ("unconfirmed", format!("{} BTC", btc(balance.unconfirmed.to_sat()))),
        ("immature", format!("{} BTC", btc(balance.immature.to_sat()))),
        ("total", format!("{} BTC", btc(balance.total.to_sat()))),
        ("held", if held.is_empty() { String::new() } else { format!("{} BTC", btc(sum.to_sat())) }),
        ("spendable", format!("{} BTC", btc(spendable.to_sat()))),
        ("addresses", format!("{} given out", account.reported.revealed)),
        ("first address", first_address.write().to_string()),
        ("birthday", birthday),
        ("descriptor", printable(descriptor)),
    ]);
    if !account.verified {
        text.push_str(
            "\nThis is what the pod says; it is not checked here, since this device holds no map of it.\n",
        );
    }
    let mut json = json_of(account);
    (json["held_sat"], json["spendable_sat"]) = (sum.to_sat().into(), spendable.to_sat().into());
    let drafts = |draft: &Held| json!({ "payment": draft.payment.id, "held_sat": draft.amount.to_sat() });
    json["drafts"] = held.iter().map(drafts).collect();
    let next: Vec<String> = held.iter().map(Held::sentence).collect();
    Ok(Report::new(&json, text).hint(next.join("\n")))
}

/// An account as the pod reports it, and whether it was checked here.
fn json_of(account: &ListedAccount) -> Value {
    let mut json = serde_json::to_value(&account.reported).unwrap_or(Value::Null);
    json["verified"] = account.verified.into();
    json
}

/// Prints an account map of this device. It needs no pod: the map must be usable without one.
///
/// # Errors
/// This device holds no such map.
async fn export(context: &Context, wanted: Option<&str>, format: ExportFormat) -> Result<Report, Failure> {
    let profile = context.profile().await?;
    let map = held(&profile, wanted)?;
    let json = serde_json::to_value(map).map_err(|error| Failure::other("map", error))?;
    Ok(match format {
        ExportFormat::Json => Report::new(&json, pretty(&json)),
        ExportFormat::Descriptor => Report::new(&json!({ "descriptor": map.descriptor() }), map.descriptor()),
        ExportFormat::Core => {
            let import = map.core_import();
            Report::new(&json!({ "importdescriptors": import }), pretty(&import))
        }
    })
}

/// JSON on several lines, to be read by people too.
fn pretty(json: &Value) -> String {
    serde_json::to_string_pretty(json).unwrap_or_default()
}

/// The account map that is meant, among those of this device.
///
/// # Errors
/// There is none, or several where none is named.
fn held<'a>(profile: &'a Profile, wanted: Option<&str>) -> Result<&'a AccountMap, Failure> {
    let maps: Vec<&AccountMap> = profile.accounts().map(|held| &held.map).collect();
    let fits = |map: &&&AccountMap| is_meant(wanted, map.name(), &map.id().to_string());
    let found: Vec<_> = maps.iter().filter(fits).collect();
    match found.as_slice() {
        [map] => Ok(map),
        [] if maps.is_empty() => Err(no_account("this device holds no account map")),
        [] => {
            Err(no_account(format!("this device holds no account called `{}`", wanted.unwrap_or_default())))
        }
        _ => Err(Failure::usage("there are several accounts: say which, by name or id")),
    }
}

/// Shows an address to be paid at: a fresh one, or with `--index` one that was given out before. A
/// device derives the address itself and compares it with the pod's.
///
/// # Errors
/// The amount is malformed; a check refused; or the pod gives out no further address.
pub(super) async fn receive(context: &Context, wish: &Receive) -> Result<Report, Failure> {
    let amount = match wish.amount.join(" ").as_str() {
        "" => None,
        text => Some(text.parse::<Sat>().map_err(Failure::usage)?),
    };
    if let Some(index) = wish.index {
        let profile = context.profile().await?;
        let map = held(&profile, wish.account.as_deref())?;
        let address = profile.address_again(&map.id(), index, wish.trust_index)?;
        return Ok(to_pay(&map.id(), map.name(), &address, amount, true));
    }
    let (session, accounts) = listed(context).await?;
    let account = accounts.choose(wish.account.as_deref())?;
    let Account { id, name, .. } = &account.reported;
    match session {
        Session::Device(mut device) => {
            let work = device.receive(id, wish.trust_index);
            let fresh = context.spinner.during("asking the pod for an address", work).await;
            Ok(to_pay(id, name.as_str(), &fresh.map_err(none_fresh)?, amount, true))
        }
        Session::Owner(pod) => {
            let fresh = context.spinner.during("asking the pod for an address", pod.new_address(id)).await?;
            Ok(to_pay(id, name.as_str(), &fresh, amount, false))
        }
    }
}

/// Adds advice to the refusal of a pod that gives out no further address because too many wait for
/// a payment: an earlier one can be used again.
fn none_fresh(error: DeviceError) -> Failure {
    let gap = matches!(&error, DeviceError::Call(CallError::Refused { status: 409, .. }));
    let failure = Failure::from(error);
    match gap {
        true => failure.help("`autonomy receive --index N` shows an address again that was given out before"),
        false => failure,
    }
}

/// An address as text, JSON and QR code.
fn to_pay(
    account: &AccountId,
    name: &str,
    address: &ReceiveAddress,
    amount: Option<Sat>,
    verified: bool,
) -> Report {
    let text = address.address.write();
    let uri = bip21::uri(&text, amount);
    let json = json!({
        "account": account, "address": *text, "index": address.index, "uri": uri, "verified": verified,
    });
    let mut about = format!("address {} of account {}", address.index, printable(name));
    if !verified {
        about.push_str("\nThis is what the pod says; no device has checked it.");
    }
    Report::new(&json, uri.as_str()).with_qr(uri).hint(about)
}

/// Shows the transactions of an account as the pod's chain source saw them.
///
/// # Errors
/// There is no such account; the pod refuses or is not reached.
pub(super) async fn history(context: &Context, wish: &History) -> Result<Report, Failure> {
    let (session, accounts) = listed(context).await?;
    let account = accounts.choose(wish.account.as_deref())?;
    let asked = session.pod().history(&account.reported.id, wish.limit);
    let history = context.spinner.during("asking the pod", asked).await?;
    let rows: Vec<Vec<String>> = history.entries.iter().map(history_row).collect();
    let text = match rows.is_empty() {
        true => "nothing yet".to_owned(),
        false => table(&["when", "BTC", "confirmations", "transaction", "note"], &rows),
    };
    Ok(Report::new(&json!({ "account": account.reported.id, "entries": history.entries }), text))
}

/// One transaction as a row of the table.
fn history_row(entry: &HistoryEntry) -> Vec<String> {
    vec![
        entry.time.map_or_else(|| "just now".to_owned(), time),
        signed_btc(entry.net.to_sat()),
        entry.confirmations.to_string(),
        entry.txid.to_string(),
        entry.note.as_ref().map_or_else(String::new, |note| printable(note.as_str())),
    ]
}
