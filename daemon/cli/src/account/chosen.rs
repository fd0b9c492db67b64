//! Which account a verb is about.

use autonomy_client::{Device, ListedAccount, Profile, printable};
use serde::Serialize;

use crate::{
    Exit, Failure,
    contact::{MIN_ID_PREFIX, short},
    context::{Context, Session},
};

/// The accounts of a pod, and those of this device that the pod does not know.
#[derive(Debug)]
pub(crate) struct Listing {
    /// As the pod lists them, compared with the maps of this device.
    pub(crate) accounts: Vec<ListedAccount>,
    /// Held by this device alone.
    pub(crate) only_here: Vec<OnlyHere>,
}

/// An account that this device holds and the pod does not know: the pod was restored from a backup that is older.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OnlyHere {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its first address.
    pub(crate) first_address: String,
}

/// Connects to the pod and asks for the accounts. With a profile, each is checked against its map.
///
/// # Errors
/// The pod is not reached, or its answer contradicts a map of this device.
pub(crate) async fn listed(context: &Context) -> Result<(Session, Listing), Failure> {
    let mut session = context.session().await?;
    let listing = match &mut session {
        Session::Device(device) => {
            let accounts = context.spinner.during("asking the pod", device.accounts()).await?;
            Listing::new(accounts, Some(&device.profile))
        }
        Session::Owner(pod) => {
            let reported = context.spinner.during("asking the pod", pod.accounts()).await?.accounts;
            let accounts = reported.into_iter().map(|reported| ListedAccount { reported, verified: false });
            Listing::new(accounts.collect(), None)
        }
    };
    Ok((session, listing))
}

/// The same for verbs that need the device's keys. `what` completes the sentence "only a device can
/// …".
///
/// # Errors
/// As [`listed`]; or there is no profile.
pub(crate) async fn listed_by_device(context: &Context, what: &str) -> Result<(Device, Listing), Failure> {
    let mut device = context.device(what).await?;
    let accounts = context.spinner.during("asking the pod", device.accounts()).await?;
    let listing = Listing::new(accounts, Some(&device.profile));
    Ok((device, listing))
}

impl Listing {
    fn new(accounts: Vec<ListedAccount>, profile: Option<&Profile>) -> Self {
        let maps = profile.into_iter().flat_map(Profile::accounts).map(|held| &held.map);
        let unknown = maps.filter(|map| accounts.iter().all(|account| account.reported.id != map.id()));
        let only_here = unknown.map(|map| OnlyHere {
            id: map.id().to_string(),
            name: map.name().to_owned(),
            first_address: map.first_address().to_string(),
        });
        Self { only_here: only_here.collect(), accounts }
    }

    /// The account that is meant, by name, id, or the beginning of the id; the only one where none is named. Accounts that
    /// this device holds go first: the pod could give another account the same name.
    ///
    /// # Errors
    /// There is none, several fit, or the pod does not know it.
    pub(crate) fn choose(&self, wanted: Option<&str>) -> Result<&ListedAccount, Failure> {
        let fits = |account: &&ListedAccount| {
            is_meant(wanted, account.reported.name.as_str(), &account.reported.id.to_string())
        };
        let (held, others): (Vec<_>, Vec<_>) =
            self.accounts.iter().filter(fits).partition(|account| account.verified);
        let found = if held.is_empty() { others } else { held };
        match found.as_slice() {
            [account] => Ok(account),
            [] => Err(self.none(wanted)),
            _ => Err(Failure::usage("there are several accounts: say which, by name or id")
                .help("see `autonomy account list`")),
        }
    }

    fn none(&self, wanted: Option<&str>) -> Failure {
        let forgotten = self.only_here.iter().find(|account| is_meant(wanted, &account.name, &account.id));
        match (forgotten, wanted) {
            (Some(account), _) => forgotten_by_pod(account),
            (None, None) => no_account("there is no account yet"),
            (None, Some(wanted)) => no_account(format!("there is no account called `{}`", printable(wanted))),
        }
    }
}

/// Whether an account is meant: by its name, its id, or the beginning of its id; any where none is named.
pub(super) fn is_meant(wanted: Option<&str>, name: &str, id: &str) -> bool {
    wanted.is_none_or(|wanted| name == wanted || wanted.len() >= MIN_ID_PREFIX && id.starts_with(wanted))
}

/// The failure of an account that the pod has forgotten.
fn forgotten_by_pod(account: &OnlyHere) -> Failure {
    let detail = format!(
        "this device holds account {}, and the pod does not know it: it was restored from a backup that is older",
        printable(&account.name)
    );
    let help = format!(
        "restore a later backup of the pod, if there is one; what is in the account shows any wallet that reads \
         `autonomy account export {} --format core`",
        short(&account.id)
    );
    Failure::other("account-forgotten", detail).help(help)
}

pub(super) fn no_account(detail: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, "no-account", detail)
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

    fn listing<const N: usize>(accounts: [ListedAccount; N]) -> Listing {
        Listing { accounts: accounts.into(), only_here: Vec::new() }
    }

    #[test]
    fn account_that_the_pod_forgot_is_named_as_such() {
        let only_here =
            vec![OnlyHere { id: "abcdef01".into(), name: "savings".into(), first_address: "bcrt1q".into() }];
        let listing = Listing { accounts: vec![account(1, "main", true)], only_here };
        for wanted in ["savings", "abcd"] {
            let failure = listing.choose(Some(wanted)).unwrap_err();
            assert_eq!(failure.kind, "account-forgotten");
            assert!(failure.detail.contains("savings") && failure.help.unwrap().contains("abcdef01"));
        }
        assert_eq!(listing.choose(None).unwrap().reported.name.as_str(), "main");
        assert_eq!(listing.choose(Some("gifts")).unwrap_err().kind, "no-account");
    }

    #[test]
    fn choose_prefers_held_account_over_pods_account_of_same_name() {
        let accounts = listing([account(1, "main", false), account(2, "main", true), account(3, "b", false)]);
        let chosen = |wanted| accounts.choose(wanted).map(|account| account.reported.id.to_bytes()[0]);
        assert_eq!(chosen(Some("main")).unwrap(), 2);
        assert_eq!(chosen(None).unwrap(), 2);
        let first = AccountId::from_bytes([1; 16]).to_string();
        assert_eq!((chosen(Some(&first)).unwrap(), chosen(Some("b")).unwrap()), (1, 3));
        assert_eq!((chosen(Some(&first[..4])).unwrap(), chosen(Some(&first[..3])).is_err()), (1, true));
        assert_eq!(chosen(Some("c")).unwrap_err().kind, "no-account");
        assert!(listing([account(1, "a", true), account(2, "b", true)]).choose(None).is_err());
    }
}
