//! The row of a contact: its versions, and how it is printed.

use std::fmt;

use serde::Deserialize;

use super::{
    row::{Kept, Unreadable, whole},
    stage::{ContactRecord, Profile, Stage},
};

/// In the first version it was not kept since when a contact is blocked, for their queues were closed at once; nor could a
/// contact come back.
#[derive(Deserialize)]
struct First {
    profile: Profile,
    stage: Stage,
}

impl Kept for ContactRecord {
    const VERSION: u8 = 2;

    fn upgrade(version: u8, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => whole(body).map(|First { profile, stage }| Self::of(profile, stage)),
            other => Err(format!("there was no version {other}").into()),
        }
    }
}

impl fmt::Debug for ContactRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContactRecord").field("state", &self.state()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::{
        AuthSeed,
        messenger::row::{pack, unpack},
    };

    #[derive(Serialize)]
    struct FirstWritten {
        profile: Profile,
        stage: Stage,
    }

    #[test]
    fn contact_of_the_first_version_is_read() {
        let root = AuthSeed::from_bytes(&[1; 32]).root_key().public();
        let record = ContactRecord::new(&root, Stage::Known, 7);
        let first = FirstWritten { profile: record.profile.clone(), stage: record.stage.clone() };
        let written = postcard::to_extend(&first, vec![1]).unwrap();
        assert!(unpack::<ContactRecord>(&written).unwrap() == record);
        assert!(unpack::<ContactRecord>(&pack(&record)).unwrap() == record);
        assert!(unpack::<ContactRecord>(&[0]).is_err_and(|why| why.contains("no version 0")));
    }
}
