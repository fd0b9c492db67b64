//! An offer of the pod's key for a new account, as the pod signs it and the device checks it.

use crate::AccountOffer;

/// What the pod key signs of an offer, and the device checks: every field as JSON carries it, each with
/// its length.
#[must_use]
pub fn offer_message(offer: &AccountOffer) -> Vec<u8> {
    let (ceremony, entropy) = (offer.ceremony.to_string(), offer.entropy.to_string());
    let key = offer.pod_member_key.to_string();
    let index = offer.account_index.to_u32().to_be_bytes();
    let height = offer.birthday_height.to_be_bytes();
    let time = offer.birthday_time.to_be_bytes();
    let fields: [&[u8]; 6] =
        [ceremony.as_bytes(), &index, key.as_bytes(), entropy.as_bytes(), &height, &time];
    let mut message = b"autonomy account offer v1".to_vec();
    for field in fields {
        message.extend_from_slice(&(field.len() as u64).to_be_bytes());
        message.extend_from_slice(field);
    }
    message
}
