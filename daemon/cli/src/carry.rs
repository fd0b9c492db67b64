//! `message export` and `import`, `contact export`, `import` and `export-invite`: data that people
//! carry as files or QR codes, for places without a network.
//!
//! A parcel is sealed already, so its file needs no protection. Files are created before the pod is
//! asked, and an existing file is never overwritten: the pod does not prepare what could not be
//! written.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::Path,
    time::Duration,
};

use autonomy_messaging::{
    carrier::{self, Assembler, Assembly, MAX_PARCEL, MalformedParcel, Parcel},
    vcard::{MAX_VCARD, VCard},
};
use serde_json::{Value, json};

use super::{
    Failure,
    contact::{find, short},
    context::Context,
    invite,
    output::{self, Report},
    qr,
};
use autonomy_api::ContactState;
use autonomy_client::files::GrowingFile;
use autonomy_store::small_file;

/// Time for which each code of a sequence is shown: a phone reads four a second.
const SHOWN: Duration = Duration::from_millis(250);
/// Terminal control sequence: clears the screen and moves to its top.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Exports the messages that wait for a contact.
///
/// # Errors
/// The file exists; there is no such contact; the pod refuses or is not reached.
pub(super) async fn export(context: &Context, wanted: &str, file: Option<&Path>) -> Result<Report, Failure> {
    let way = Way::new(context, file)?;
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, Some(ContactState::Active)).await?;
    let mailbox = mail.mailbox();
    let parcel = context.spinner.during("sealing", mailbox.export_parcel(&contact.id)).await?;
    way.hand_out(context, &parcel, json!({ "contact": contact.id }), contact.name.as_str()).await
}

/// Exports what waits at the place of an invite.
///
/// # Errors
/// The file exists; there is no such invite; the pod refuses or is not reached.
pub(super) async fn export_invite(
    context: &Context,
    wanted: &str,
    file: Option<&Path>,
) -> Result<Report, Failure> {
    let way = Way::new(context, file)?;
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let invites = context.spinner.during("asking the pod", mailbox.invites()).await?;
    let invite = invite::choose(&invites, wanted)?;
    let parcel = context.spinner.during("asking the pod", mailbox.export_invite(&invite.id)).await?;
    let whose = format!("whoever has invite {}", short(&invite.id));
    way.hand_out(context, &parcel, json!({ "invite": invite.id }), &whose).await
}

/// Where a parcel goes. It is decided, and the file created, before the pod is asked.
///
/// A file cannot be named together with `--qr`.
enum Way<'a> {
    /// Into this new file.
    File(&'a Path, GrowingFile),
    /// Onto the screen as QR codes.
    Codes,
}

impl<'a> Way<'a> {
    /// The way that the arguments ask for.
    ///
    /// # Errors
    /// Neither or both of a file and `--qr`; or the file cannot be created.
    fn new(context: &Context, file: Option<&'a Path>) -> Result<Self, Failure> {
        match (file, context.flags.qr) {
            (Some(path), false) => Ok(Self::File(path, GrowingFile::begin(path)?)),
            (None, true) => Ok(Self::Codes),
            (Some(_), true) => Err(Failure::usage("give a file or --qr, not both")),
            (None, false) => Err(Failure::usage("no destination: give a file, or --qr to show QR codes")),
        }
    }

    /// Writes or shows the parcel. `whose` names the recipient to the person.
    async fn hand_out(
        self,
        context: &Context,
        parcel: &Parcel,
        mut json: Value,
        whose: &str,
    ) -> Result<Report, Failure> {
        let (bytes, count) = (parcel.to_bytes(), parcel.entries().len());
        json["frames"] = count.into();
        match self {
            Self::File(path, mut file) => {
                file.write(&bytes)?;
                file.finish()?;
                (json["path"], json["bytes"]) = (output::path(path).into(), bytes.len().into());
                let text =
                    format!("{} holds what waits for {whose}, sealed: {} bytes", path.display(), bytes.len());
                Ok(Report::new(&json, text).hint("Next, on their device: `autonomy message import FILE`."))
            }
            Self::Codes => {
                let parts = carrier::parts(&bytes).ok_or_else(|| {
                    Failure::usage(format!("{} bytes are too many for QR codes", bytes.len()))
                        .help("write them to a file")
                })?;
                if context.out.json {
                    json["parts"] = json!(parts);
                    return Ok(Report::new(&json, ""));
                }
                show(&parts).await?;
                Ok(Report::new(&json, format!("{} codes for {whose} were shown", parts.len())))
            }
        }
    }
}

/// Shows codes in turn until interrupted; only once where standard output is not a terminal.
///
/// A phone's camera needs each code for a moment, and may miss some: the sequence repeats.
async fn show(parts: &[String]) -> Result<(), Failure> {
    let on_screen = io::stdout().is_terminal();
    loop {
        for (number, part) in parts.iter().enumerate() {
            let shown = draw_part(part, number + 1, parts.len(), on_screen)?;
            match print(&shown) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => {
                    return Err(Failure::other("output", format!("cannot show the codes: {error}")));
                }
            }
            if !on_screen {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(SHOWN) => {}
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
        }
        if !on_screen {
            return Ok(());
        }
    }
}

/// One code and its number. The text is in capitals, which need less room in a QR code.
fn draw_part(part: &str, number: usize, of: usize, on_screen: bool) -> Result<String, Failure> {
    let code = qr::draw(&part.to_ascii_uppercase())
        .ok_or_else(|| Failure::other("qr", "a part of the parcel does not fit a QR code"))?;
    let clear = if on_screen { CLEAR } else { "" };
    Ok(format!("{clear}{code}\n{number} of {of}"))
}

/// Prints and flushes, so that a code is complete on the screen.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Imports a parcel: the file as it was exported, or the texts of its QR codes.
///
/// # Errors
/// The file is not a complete parcel; the pod refuses or is not reached.
pub(super) async fn import(context: &Context, file: &Path) -> Result<Report, Failure> {
    let parcel = parcel_in(&read(file, MAX_PARCEL)?)?;
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let imported = context.spinner.during("importing", mailbox.import_parcel(&parcel)).await?;
    let mut text = format!("{} new", imported.opened);
    if imported.repeats > 0 {
        text.push_str(&format!(", {} received before", imported.repeats));
    }
    if imported.refused > 0 {
        let why = "not for you, or they cannot be opened any more";
        text.push_str(&format!(", {} refused: {why}", imported.refused));
    }
    Ok(Report::new(&imported, text))
}

/// The parcel in these bytes, or in the texts of QR codes.
fn parcel_in(bytes: &[u8]) -> Result<Parcel, Failure> {
    let refused = |error: MalformedParcel| Failure::check("bad-parcel", error);
    match (Parcel::parse(bytes), str::from_utf8(bytes)) {
        (Err(MalformedParcel::NotAParcel), Ok(text)) => Parcel::parse(&assembled(text)?).map_err(refused),
        (parcel, _) => parcel.map_err(refused),
    }
}

/// Puts the texts of QR codes together, one per line in any order.
///
/// # Errors
/// A line is not such a text, or some codes are missing; the failure says how many.
fn assembled(text: &str) -> Result<Vec<u8>, Failure> {
    let mut assembler = Assembler::new();
    let (mut have, mut of) = (0, 0);
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    for (number, line) in lines {
        let added = assembler.add(line);
        match added.map_err(|error| Failure::check("bad-parcel", format!("line {}: {error}", number + 1)))? {
            Assembly::Whole(bytes) => return Ok(bytes),
            Assembly::Missing { have: here, of: all } => (have, of) = (here, all),
        }
    }
    if of == 0 {
        return Err(Failure::check("bad-parcel", MalformedParcel::NotAParcel));
    }
    let detail = format!("only {have} of {of} codes were given; nothing was imported");
    Err(Failure::check("parts-missing", detail).help("add the missing ones, in any order"))
}

/// Exports a contact as a vCard.
///
/// # Errors
/// The file exists; there is no such contact; the pod refuses or is not reached.
pub(super) async fn export_card(
    context: &Context,
    wanted: &str,
    file: Option<&Path>,
) -> Result<Report, Failure> {
    let out = file.map(|path| GrowingFile::begin(path).map(|out| (path, out))).transpose()?;
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, Some(ContactState::Active)).await?;
    let mailbox = mail.mailbox();
    let card = context.spinner.during("asking the pod", mailbox.export_card(&contact)).await?.to_text();
    match out {
        Some((path, mut out)) => {
            out.write(card.as_bytes())?;
            out.finish()?;
            let json = json!({ "contact": contact.id, "path": output::path(path) });
            Ok(Report::new(&json, format!("{} is in {}", contact.name, path.display())))
        }
        None => {
            let json = json!({ "contact": contact.id, "vcard": card });
            let lines = card.replace("\r\n", "\n");
            Ok(Report::new(&json, lines).with_qr(card))
        }
    }
}

/// Imports a person from a vCard. An invite of theirs is then recognised by their root key.
///
/// # Errors
/// The file is not a vCard with a root key; the pod refuses or is not reached.
pub(super) async fn import_card(context: &Context, file: &Path) -> Result<Report, Failure> {
    let bytes = read(file, MAX_VCARD)?;
    let text = str::from_utf8(&bytes).map_err(|_| Failure::check("bad-vcard", "this is not a text"))?;
    let card = VCard::from_text(text).map_err(|error| Failure::check("bad-vcard", error))?;
    let mail = context.mail().await?;
    let mailbox = mail.mailbox();
    let contact = context.spinner.during("telling the pod", mailbox.import_card(&card)).await?;
    let next = "Messages can be sent once one of you has accepted the other's invite.";
    Ok(Report::new(&contact, format!("{} is imported", contact.name)).hint(next))
}

/// Reads a file of at most `max` bytes, or standard input.
///
/// # Errors
/// It cannot be read, or has more bytes.
fn read(path: &Path, max: usize) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: io::Error| Failure::other("file", format!("cannot read {}: {error}", path.display()));
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(small_file::open(path).map_err(failed)?),
    };
    let mut bytes = Vec::new();
    source.take(max as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > max {
        return Err(Failure::usage(format!("{} has more than {max} bytes", path.display())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use autonomy_messaging::{
        carrier::ParcelEntry,
        frame::{BLOB_LEN, Blob, DepositId},
        place::QueueId,
    };

    use super::*;

    fn parcel() -> Parcel {
        let blob = Blob::from_slice(&[7; BLOB_LEN]).unwrap();
        let entry = ParcelEntry {
            queue: QueueId::from_bytes([1; 32]),
            deposit: DepositId::from_bytes([2; 16]),
            blob,
        };
        Parcel::new(vec![entry]).unwrap()
    }

    #[test]
    fn parcel_reads_from_file_and_from_codes_in_any_order() {
        let parcel = parcel();
        assert_eq!(parcel_in(&parcel.to_bytes()).unwrap(), parcel);
        let mut parts = carrier::parts(&parcel.to_bytes()).unwrap();
        parts.reverse();
        let scanned = format!("\n{}\n\n{}\n", parts[0].to_ascii_uppercase(), parts.join("\r\n"));
        assert_eq!(parcel_in(scanned.as_bytes()).unwrap(), parcel);
    }

    #[test]
    fn missing_and_damaged_parts_are_named() {
        let parts = carrier::parts(&parcel().to_bytes()).unwrap();
        let failure = parcel_in(parts[1..].join("\n").as_bytes()).unwrap_err();
        let says = format!("only {} of {} codes", parts.len() - 1, parts.len());
        assert!(failure.kind == "parts-missing" && failure.detail.starts_with(&says), "{failure:?}");
        let failure = parcel_in(format!("{}\nhello", parts[0]).as_bytes()).unwrap_err();
        assert!(failure.detail.starts_with("line 2: "), "{failure:?}");
        for bytes in [&b""[..], b"\n \n", b"\xff\xfe", b"apcl\x01", b"apcl\x02"] {
            assert_eq!(parcel_in(bytes).unwrap_err().kind, "bad-parcel", "{bytes:?}");
        }
    }

    #[test]
    fn every_code_of_a_parcel_fits_the_screen() {
        let parts = carrier::parts(&parcel().to_bytes()).unwrap();
        for (number, part) in parts.iter().enumerate() {
            let shown = draw_part(part, number + 1, parts.len(), false).unwrap();
            assert!(shown.lines().all(|line| qr::columns(line) <= 113), "{number}");
        }
    }
}
