//! Which members an account may have: the rules of each [`MapKind`].
//!
//! These rules are the same for whoever makes a map and whoever is sent one: there is no other way to an
//! [`AccountMap`](super::AccountMap).

use super::label::is_one_line;
use super::{
    AccountError, MAX_KEYS, MAX_LOCK_BLOCKS, MAX_NAME_LEN, MIN_MEMBERS, MapKind, Member, MemberLabel,
    PERSONAL_THRESHOLD, Plan,
};
use crate::keys::{KeyForm, MemberKey};

/// Checks the plan and the announced members, and gives them back in the one order of their descriptor.
pub(super) fn admit(plan: &Plan, announced: &[Member]) -> Result<Vec<Member>, AccountError> {
    if !is_one_line(&plan.name, MAX_NAME_LEN * 4) || plan.name.chars().count() > MAX_NAME_LEN {
        return Err(AccountError::Name);
    }
    let members = match plan.kind {
        MapKind::Personal => personal(plan, announced)?,
        MapKind::PersonalOrRecovery { blocks } => {
            check_lock(blocks)?;
            personal(plan, announced)?
        }
        MapKind::Shared => shared(plan, announced)?,
    };
    for member in &members {
        let fits = member.keys().iter().try_for_each(|key| key.check_network(plan.network.into()));
        fits.map_err(|error| AccountError::Key { member: member.label.clone(), error })?;
    }
    check_distinct(&members)?;
    Ok(members)
}

/// BIP-68: 16 bits, in blocks.
pub(super) fn check_lock(blocks: u32) -> Result<(), AccountError> {
    if (1..=MAX_LOCK_BLOCKS).contains(&blocks) { Ok(()) } else { Err(AccountError::Lock(blocks)) }
}

/// P, R and G once each, all of one account index; P and G from seeds, R at depth 0.
fn personal(plan: &Plan, announced: &[Member]) -> Result<Vec<Member>, AccountError> {
    check_threshold(plan.threshold, PERSONAL_THRESHOLD, PERSONAL_THRESHOLD)?;
    if let Some(other) = announced.iter().find(|member| !MemberLabel::PERSONAL.contains(&member.label)) {
        return Err(AccountError::UnexpectedLabel(other.label.clone()));
    }
    let members: Vec<Member> = MemberLabel::PERSONAL
        .iter()
        .map(|label| once(announced, label).cloned())
        .collect::<Result<_, _>>()?;
    let account = members[0].key()?.account();
    for member in &members {
        let is_recovery = member.label == MemberLabel::R;
        check_form(member, if is_recovery { KeyForm::DepthZero } else { KeyForm::Bip48 })?;
        let fits = member.key()?.check_account(account);
        fits.map_err(|error| AccountError::Key { member: member.label.clone(), error })?;
    }
    Ok(members)
}

/// Each member has one key of a seed, at an account index of its own choice. `sortedmulti` makes the order of
/// keys irrelevant to the scripts; by public key, the members also write the same text.
fn shared(plan: &Plan, announced: &[Member]) -> Result<Vec<Member>, AccountError> {
    let found = announced.len();
    if !(MIN_MEMBERS..=MAX_KEYS).contains(&found) {
        return Err(AccountError::Members { found, least: MIN_MEMBERS, most: MAX_KEYS });
    }
    // The count is at most MAX_KEYS, and fits.
    check_threshold(plan.threshold, 1, found as u8)?;
    for member in announced {
        if MemberLabel::PERSONAL.contains(&member.label) {
            return Err(AccountError::UnexpectedLabel(member.label.clone()));
        }
        once(announced, &member.label)?;
        check_form(member, KeyForm::Bip48)?;
    }
    let mut members = announced.to_vec();
    members.sort_by_key(|member| member.keys()[0].xpub().public_key.serialize());
    Ok(members)
}

/// Both bounds included.
fn check_threshold(found: u8, least: u8, most: u8) -> Result<(), AccountError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(AccountError::Threshold { found, least, most })
}

/// The member with this label, of whom there must be one.
fn once<'a>(announced: &'a [Member], label: &MemberLabel) -> Result<&'a Member, AccountError> {
    let mut found = announced.iter().filter(|member| member.label == *label);
    match (found.next(), found.count()) {
        (Some(member), 0) => Ok(member),
        (first, more) => {
            let count = more + usize::from(first.is_some());
            Err(AccountError::Label { label: label.clone(), count })
        }
    }
}

/// Whether its one key has the form that its place asks for.
fn check_form(member: &Member, expected: KeyForm) -> Result<(), AccountError> {
    if member.key()?.form() == expected {
        return Ok(());
    }
    Err(AccountError::KeyForm { member: member.label.clone(), expected })
}

/// No key may stand for two: every signature must come from another holder.
fn check_distinct(members: &[Member]) -> Result<(), AccountError> {
    let all: Vec<(&MemberLabel, &MemberKey)> =
        members.iter().flat_map(|member| member.keys().iter().map(|key| (&member.label, key))).collect();
    for (position, (label, key)) in all.iter().enumerate() {
        if let Some((other, _)) = all[..position].iter().find(|(_, other)| same_holder(key, other)) {
            return Err(AccountError::DuplicateKey((*other).clone(), (*label).clone()));
        }
    }
    Ok(())
}

/// One public key, whatever origin it claims; one master key; or one key derived from the other, so that both
/// give the same key at every address.
fn same_holder(a: &MemberKey, b: &MemberKey) -> bool {
    a.fingerprint() == b.fingerprint()
        || a.xpub().public_key == b.xpub().public_key
        || a.account_public_key() == b.account_public_key()
}
