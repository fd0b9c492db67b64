//! Which account a verb is about.

use autonomy_client::{Device, ListedAccount};

use crate::{
    Failure,
    context::{Context, Session},
};

/// Connects to the pod and asks for the accounts. With a profile, each is checked against its map.
///
/// # Errors
/// The pod is not reached, or its answer contradicts a map of this device.
pub(crate) async fn listed(context: &Context) -> Result<(Session, Vec<ListedAccount>), Failure> {
    let mut session = context.session().await?;
    let accounts = match &mut session {
        Session::Device(device) => context.spinner.during("asking the pod", device.accounts()).await?,
        Session::Owner(pod) => {
            let reported = context.spinner.during("asking the pod", pod.accounts()).await?.accounts;
            reported.into_iter().map(|reported| ListedAccount { reported, verified: false }).collect()
        }
    };
    Ok((session, accounts))
}

/// The same for verbs that need the device's keys. `what` completes the sentence "only a device can
/// …".
///
/// # Errors
/// As [`listed`]; or there is no profile.
pub(crate) async fn listed_by_device(
    context: &Context,
    what: &str,
) -> Result<(Device, Vec<ListedAccount>), Failure> {
    let mut device = context.device(what).await?;
    let accounts = context.spinner.during("asking the pod", device.accounts()).await?;
    Ok((device, accounts))
}

/// The account that is meant, by name or id; the only one where none is named. Accounts that this
/// device holds go first: the pod could give another account the same name.
///
/// # Errors
/// There is none, or several of that name.
pub(crate) fn choose<'a>(
    accounts: &'a [ListedAccount],
    wanted: Option<&str>,
) -> Result<&'a ListedAccount, Failure> {
    let fits = |account: &&ListedAccount| {
        wanted.is_none_or(|wanted| {
            account.reported.name.as_str() == wanted || account.reported.id.to_string() == wanted
        })
    };
    let (held, others): (Vec<_>, Vec<_>) = accounts.iter().filter(fits).partition(|account| account.verified);
    let found = if held.is_empty() { others } else { held };
    match found.as_slice() {
        [account] => Ok(account),
        [] if accounts.is_empty() => Err(no_account("there is no account yet")),
        [] => Err(no_account(format!("there is no account called `{}`", wanted.unwrap_or_default()))),
        _ => Err(Failure::usage("there are several accounts: say which, by name or id")
            .help("see `autonomy account list`")),
    }
}

pub(super) fn no_account(detail: impl std::fmt::Display) -> Failure {
    Failure::other("no-account", detail)
        .help("`autonomy account create` makes one, `autonomy account list` shows them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use autonomy_api::{Account, AccountKind, AccountName, Balance};
    use autonomy_wallet::{account::AccountId, keys::AccountIndex};

    fn account(id: u8, name: &str, verified: bool) -> ListedAccount {
        let reported = Account {
            id: AccountId::from_bytes([id; 16]),
            name: AccountName::new(name).unwrap(),
            kind: AccountKind::TwoOfThree,
            descriptor: String::new(),
            first_address: autonomy_api::Written::read("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080")
                .unwrap(),
            birthday_height: 0,
            birthday_time: 0,
            account_index: AccountIndex::FIRST,
            balance: Balance::default(),
            revealed: 0,
            change: 0,
        };
        ListedAccount { reported, verified }
    }

    #[test]
    fn choose_prefers_held_account_over_pods_account_of_same_name() {
        let accounts = [account(1, "main", false), account(2, "main", true), account(3, "b", false)];
        let chosen = |wanted| choose(&accounts, wanted).map(|account| account.reported.id.to_bytes()[0]);
        assert_eq!(chosen(Some("main")).unwrap(), 2);
        assert_eq!(chosen(None).unwrap(), 2);
        let first = AccountId::from_bytes([1; 16]).to_string();
        assert_eq!((chosen(Some(&first)).unwrap(), chosen(Some("b")).unwrap()), (1, 3));
        assert_eq!(chosen(Some("c")).unwrap_err().kind, "no-account");
        let both = [account(1, "a", true), account(2, "b", true)];
        assert!(choose(&both, None).is_err());
    }
}
