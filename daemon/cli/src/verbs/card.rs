//! `card …`: what contacts see beside the name, and what they share.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use autonomy_api::{
    BadCardField, CardDelivery, CardField, CardFields, MAX_PICTURE, Picture, ShareCard, read_card,
    read_contact_card, share_card, write_card,
};
use autonomy_client::printable;
use autonomy_store::small_file;
use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::{
    Failure,
    ask::written,
    contact::find,
    context::Context,
    output::{Report, pairs},
};

/// `card …`.
#[derive(Debug, Subcommand)]
pub enum CardVerb {
    /// Show what your card may carry; or what a contact shares with you, and you with them
    Show {
        /// Their name, or the beginning of their id [default: your own card]
        contact: Option<String>,
        /// Write the picture to a file; nothing is written over
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        picture: Option<PathBuf>,
    },
    /// Set fields of your card, or take them off; contacts who see one get the change
    Set(SetFields),
    /// Choose which fields a contact gets, in place of those they got
    ///
    /// May be done before they are connected. A field that is withdrawn disappears at their pod, not from their memory.
    Share {
        /// Their name, or the beginning of their id
        contact: String,
        /// The fields; with --none instead, nothing but your name
        #[arg(required_unless_present = "none")]
        fields: Vec<Field>,
        /// Nothing but your name
        #[arg(long, conflicts_with = "fields")]
        none: bool,
    },
}

/// `card set`.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct SetFields {
    /// Some words, at most 256 bytes; empty to take them off
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// An e-mail address; empty to take it off
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Another way to be reached, like xmpp:name@example.org; empty to take it off
    #[arg(long, value_name = "URI")]
    way: Option<String>,
    /// A PNG, JPEG or WebP picture of at most 8192 bytes
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "no_picture")]
    picture: Option<PathBuf>,
    /// Take the picture off
    #[arg(long)]
    no_picture: bool,
}

/// A field of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Field {
    /// Some words
    Note,
    /// The e-mail address
    Email,
    /// The other way to be reached
    Way,
    /// The picture
    Picture,
}

impl From<Field> for CardField {
    fn from(field: Field) -> Self {
        match field {
            Field::Note => Self::Note,
            Field::Email => Self::Email,
            Field::Way => Self::Way,
            Field::Picture => Self::Picture,
        }
    }
}

/// Carries out a verb of `card`.
pub(super) async fn card(context: &Context, verb: CardVerb) -> Result<Report, Failure> {
    match verb {
        CardVerb::Show { contact: None, picture } => show_own(context, picture.as_deref()).await,
        CardVerb::Show { contact: Some(contact), picture } => {
            show(context, &contact, picture.as_deref()).await
        }
        CardVerb::Set(change) => set(context, change).await,
        CardVerb::Share { contact, fields, none: _ } => {
            let fields = fields.into_iter().map(CardField::from).collect();
            share(context, &contact, ShareCard { fields }).await
        }
    }
}

async fn show_own(context: &Context, picture: Option<&Path>) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let fields = context.spinner.during("asking the pod", mail.mailbox().exchange(&read_card())).await?;
    write_picture(picture, &fields)?;
    let text = match fields == CardFields::default() {
        true => "your card carries your name only: `autonomy card set`".to_owned(),
        false => described(&fields),
    };
    Ok(Report::new(&fields, text))
}

async fn show(context: &Context, wanted: &str, picture: Option<&Path>) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, None).await?;
    let request = read_contact_card(contact.id);
    let card = context.spinner.during("asking the pod", mail.mailbox().exchange(&request)).await?;
    write_picture(picture, &card.theirs)?;
    let shared = pairs([("you share", names(&card.shared)), ("which", delivery(card.delivery).to_owned())]);
    Ok(Report::new(&card, format!("{}{shared}", described(&card.theirs))))
}

async fn set(context: &Context, change: SetFields) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let mut fields = context.spinner.during("asking the pod", mailbox.exchange(&read_card())).await?;
    // An empty text takes a field off.
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    if let Some(note) = change.note {
        fields.note = given(note).map(|text| written("note", &text)).transpose()?;
    }
    if let Some(email) = change.email {
        fields.email = given(email).map(|text| written("email", &text)).transpose()?;
    }
    if let Some(way) = change.way {
        fields.way = given(way).map(|text| written("way", &text)).transpose()?;
    }
    match change.picture {
        Some(path) => fields.picture = Some(read_picture(&path)?),
        None if change.no_picture => fields.picture = None,
        None => {}
    }
    let told = context.spinner.during("telling the pod", mailbox.exchange(&write_card(fields))).await?;
    let text = format!("{}`autonomy card share CONTACT FIELD…` says who gets it", described(&told));
    Ok(Report::new(&told, text))
}

async fn share(context: &Context, wanted: &str, wish: ShareCard) -> Result<Report, Failure> {
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, None).await?;
    let request = share_card(contact.id, wish);
    let card = context.spinner.during("telling the pod", mail.mailbox().exchange(&request)).await?;
    let text = format!("{} gets {}; it {}", contact.name, names(&card.shared), delivery(card.delivery));
    Ok(Report::new(&card, text))
}

fn described(fields: &CardFields) -> String {
    let CardFields { note, email, way, picture } = fields;
    let picture = picture.as_ref();
    pairs([
        ("note", note.as_ref().map(|note| printable(note.as_str())).unwrap_or_default()),
        ("e-mail", email.as_ref().map(|email| printable(email.as_str())).unwrap_or_default()),
        ("other way", way.as_ref().map(|way| printable(way.as_str())).unwrap_or_default()),
        (
            "picture",
            picture
                .map(|it| format!("{}, {} bytes", it.media_type(), it.as_bytes().len()))
                .unwrap_or_default(),
        ),
    ])
}

fn names(fields: &[CardField]) -> String {
    let name = |field: &CardField| match field {
        CardField::Note => "note",
        CardField::Email => "e-mail",
        CardField::Way => "other way",
        CardField::Picture => "picture",
    };
    let names: Vec<&str> = fields.iter().map(name).collect();
    if names.is_empty() { "your name only".to_owned() } else { names.join(", ") }
}

fn delivery(delivery: CardDelivery) -> &'static str {
    match delivery {
        CardDelivery::Delivered => "is with them",
        CardDelivery::Sent => "is on its way",
        CardDelivery::Waiting => "waits to be sent",
    }
}

/// Reads at most one byte more than a picture may have.
fn read_picture(path: &Path) -> Result<Picture, Failure> {
    let failed = |error| Failure::other("file", format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = small_file::open(path).map_err(failed)?;
    file.take(MAX_PICTURE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Picture::new(bytes).map_err(|rule: BadCardField| Failure::usage(format!("`picture`: {rule}")))
}

fn write_picture(path: Option<&Path>, fields: &CardFields) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let Some(picture) = &fields.picture else {
        return Err(Failure::other("no-picture", "this card has no picture; nothing was written"));
    };
    let failed = |error| Failure::other("file", format!("cannot write {}: {error}", path.display()));
    let mut file = File::create_new(path).map_err(failed)?;
    std::io::Write::write_all(&mut file, picture.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Verb};
    use crate::verbs::OwnVerb;
    use clap::Parser;

    fn parse(line: &str) -> Result<CardVerb, clap::Error> {
        match Cli::try_parse_from(format!("autonomy card {line}").split_whitespace())?.verb {
            Verb::Own(OwnVerb::Card(verb)) => Ok(verb),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_shared_and_what_is_set_has_to_be_said() {
        let CardVerb::Share { fields, .. } = parse("share Bob note picture").unwrap() else { panic!() };
        assert_eq!(fields, [Field::Note, Field::Picture]);
        assert!(parse("share Bob --none").is_ok());
        for line in
            ["share Bob", "share Bob name", "share Bob note --none", "set", "set --picture a --no-picture"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_picture_is_read_within_its_bounds_and_written_over_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (small, large, out) =
            (dir.path().join("small"), dir.path().join("large"), dir.path().join("out"));
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        std::fs::write(&small, &bytes).unwrap();
        let fields = CardFields { picture: Some(read_picture(&small).unwrap()), ..CardFields::default() };
        write_picture(Some(&out), &fields).unwrap();
        assert_eq!(std::fs::read(&out).unwrap(), bytes);
        assert!(write_picture(Some(&out), &fields).unwrap_err().detail.contains("out"));
        bytes.resize(MAX_PICTURE + 1, 0);
        std::fs::write(&large, &bytes).unwrap();
        assert!(read_picture(&large).unwrap_err().detail.contains("8192"));
        assert!(write_picture(Some(&dir.path().join("none")), &CardFields::default()).is_err());
    }
}
