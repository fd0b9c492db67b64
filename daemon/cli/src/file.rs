//! `file …`: files to and from contacts.
//!
//! A file goes from this device to the pod first, and from there to the contact's pod without this
//! device. An interrupted transfer goes on where it stopped when the command is repeated.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    Exit, Failure,
    args::FileVerb,
    ask::written,
    contact::{find, short},
    context::{Context, Mail},
    output::{self, Report, table, time},
};
use autonomy_api::{Contact, ContactState, Direction, File, FileState, UpdateContact};
use autonomy_client::{MailFileError, Wait, printable};

/// Carries out a verb of `file`.
///
/// # Errors
/// There is no such contact or file; a local file cannot be read or written; the pod refuses or is
/// not reached.
pub(super) async fn file(context: &Context, verb: FileVerb) -> Result<Report, Failure> {
    match verb {
        FileVerb::Send { contact, file, name, wait, timeout } => {
            send(context, &contact, &file, name, wait.then_some(timeout)).await
        }
        FileVerb::Get { contact, file, out, wait, timeout } => {
            get(context, &contact, &file, out, wait.then_some(timeout)).await
        }
        FileVerb::List { contact } => list(context, &contact).await,
        FileVerb::Remove { contact, file } => remove(context, &contact, &file).await,
        FileVerb::Limit { contact, bytes } => limit(context, &contact, bytes).await,
    }
}

/// Connects to the mailbox and finds the contact, who must be in `state` if one is given: files of one who is blocked
/// are still there to be read and removed.
async fn opened(
    context: &Context,
    wanted: &str,
    state: Option<ContactState>,
) -> Result<(Mail, Contact), Failure> {
    let mail = context.mail().await?;
    let contact = find(context, &mail, wanted, state).await?;
    Ok((mail, contact))
}

/// Sends a file; with `within`, waits so many seconds until the contact's pod has all of it.
///
/// The name that the contact sees is the file's own unless another one is given.
///
/// # Errors
/// The file changed while it was read, the contact refuses it, or it is not delivered in time.
async fn send(
    context: &Context,
    wanted: &str,
    path: &Path,
    name: Option<String>,
    within: Option<u64>,
) -> Result<Report, Failure> {
    let own_name = || path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let name = name
        .or_else(own_name)
        .ok_or_else(|| Failure::usage("the name of the file is not valid text: give one with --name"))?;
    let name = written("name", &name)?;
    if path.exists() && !path.metadata().is_ok_and(|file| file.is_file()) {
        return Err(Failure::usage(format!("{} is not a regular file: pack it first", path.display())));
    }
    let (mail, contact) = opened(context, wanted, Some(ContactState::Active)).await?;
    let mailbox = mail.mailbox();
    let loaded = |file: &File| context.spinner.say(&format!("the pod has {}", share(file)));
    let sending = Box::pin(mailbox.send_file(&contact.id, path, name, loaded));
    let mut file = context.spinner.during("uploading the file to the pod", sending).await?;
    if let Some(seconds) = within {
        let progress = |file: &File| context.spinner.say(&format!("{} has {}", contact.name, share(file)));
        let following = mailbox.follow_file(&contact.id, &file, Wait::seconds(seconds), progress);
        file = context.spinner.during("waiting for delivery", following).await?;
        match file.state {
            FileState::Complete => {}
            FileState::Cancelled => {
                let detail =
                    format!("file {} was cancelled: {} does not accept it", short(&file.id), contact.name);
                return Err(Failure::new(Exit::PodRefused, "file-cancelled", detail));
            }
            _ => return Err(not_yet(&file, seconds)),
        }
    }
    let text = match file.state {
        FileState::Complete => format!("✓ delivered: {} has {}", contact.name, file.name),
        _ => format!("file {} is being delivered to {}", short(&file.id), contact.name),
    };
    Ok(Report::new(&file, text))
}

/// The failure of a transfer that needs longer than the person wants to wait. The transfer itself
/// goes on.
fn not_yet(file: &File, seconds: u64) -> Failure {
    let detail = format!("file {} is not complete after {seconds} s: {}", short(&file.id), share(file));
    Failure::new(Exit::Failed, "not-delivered-yet", detail)
        .help("the transfer continues; `autonomy file list` shows its progress")
}

/// Fetches a file from the pod and checks its hash; with `within`, waits so many seconds until the
/// pod has all of it.
///
/// The bytes go to a temporary file that is renamed after the hash was compared.
///
/// # Errors
/// The file is not complete at the pod; its bytes do not have the offered hash; or the target
/// exists.
async fn get(
    context: &Context,
    wanted: &str,
    file: &str,
    out: Option<PathBuf>,
    within: Option<u64>,
) -> Result<Report, Failure> {
    let (mail, contact) = opened(context, wanted, None).await?;
    let mailbox = mail.mailbox();
    let files = context.spinner.during("asking the pod", mailbox.files(&contact.id)).await?;
    let mut file = choose(&files, file)?.clone();
    if file.direction == Direction::Outgoing {
        let detail = format!("file {} is one that you sent to {}", short(&file.id), contact.name);
        return Err(
            Failure::usage(detail).help("only files of a contact can be fetched: see `autonomy file list`")
        );
    }
    if let Some(seconds) = within {
        let progress = |file: &File| context.spinner.say(&format!("your pod has {}", share(file)));
        let following = mailbox.follow_file(&contact.id, &file, Wait::seconds(seconds), progress);
        file = context.spinner.during("waiting for the file", following).await?;
        if file.state == FileState::Underway {
            return Err(not_yet(&file, seconds));
        }
    }
    // The name is not a path: that was checked when the file was offered.
    let path = out.map_or_else(|| local_name(&file), Ok)?;
    let done = |bytes: u64| context.spinner.say(&format!("{bytes} of {} bytes", file.size));
    let fetching = mailbox.fetch_file(&contact.id, &file, &path, done);
    context.spinner.during("fetching the file", Box::pin(fetching)).await?;
    let mut json = serde_json::to_value(&file).unwrap_or_default();
    json["path"] = output::path(&path).into();
    let text = format!("{} bytes of {} are in {}", file.size, contact.name, path.display());
    Ok(Report::new(&json, text))
}

/// Where a file is put whose owner names no path: under the name that its sender gave it, in the present folder.
///
/// # Errors
/// The name begins with a dot or a hyphen: it would be hidden, or read as a setting of a program or as an option.
fn local_name(file: &File) -> Result<PathBuf, Failure> {
    let name = file.name.as_str();
    if name.starts_with(['.', '-']) {
        let detail = format!("the sender calls the file `{name}`, and such a name is not used unasked");
        return Err(Failure::usage(detail).help("give a path with --out"));
    }
    Ok(PathBuf::from(name))
}

/// Lists the files of a contact with the progress of each.
async fn list(context: &Context, wanted: &str) -> Result<Report, Failure> {
    let (mail, contact) = opened(context, wanted, None).await?;
    let files = context.spinner.during("asking the pod", mail.mailbox().files(&contact.id)).await?;
    let row = |file: &File| {
        let way = match file.direction {
            Direction::Incoming => "from",
            Direction::Outgoing => "to",
        };
        let way = format!("{way} {}", contact.name);
        vec![
            short(&file.id),
            way,
            state(file.state).to_owned(),
            share(file),
            time(file.at),
            file.name.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = files.iter().map(row).collect();
    let text = match rows.is_empty() {
        true => "no file yet".to_owned(),
        false => table(&["id", "way", "state", "bytes", "offered", "name"], &rows),
    };
    Ok(Report::new(&json!({ "contact": contact.id, "files": files }), text))
}

/// Cancels the transfer of a file, or deletes a complete one from the pod.
async fn remove(context: &Context, wanted: &str, file: &str) -> Result<Report, Failure> {
    let (mail, contact) = opened(context, wanted, None).await?;
    let mailbox = mail.mailbox();
    let files = context.spinner.during("asking the pod", mailbox.files(&contact.id)).await?;
    let file = choose(&files, file)?;
    context.spinner.during("telling the pod", mailbox.remove_file(&contact.id, &file.id)).await?;
    let text = format!("file {} is removed", short(&file.id));
    Ok(Report::new(&json!({ "removed": file.id }), text))
}

/// Sets the largest file that is accepted from a contact.
async fn limit(context: &Context, wanted: &str, bytes: u64) -> Result<Report, Failure> {
    let (mail, contact) = opened(context, wanted, None).await?;
    let change = UpdateContact { file_limit: Some(bytes), ..UpdateContact::default() };
    let mailbox = mail.mailbox();
    let contact = context.spinner.during("telling the pod", mailbox.update(&contact.id, &change)).await?;
    let text = format!("files of at most {} bytes are accepted from {}", contact.file_limit, contact.name);
    Ok(Report::new(&contact, text))
}

/// The file that is meant, by id, the beginning of it (four characters or more), or name. Of
/// several with one name it is the newest.
///
/// # Errors
/// No file fits.
fn choose<'a>(files: &'a [File], wanted: &str) -> Result<&'a File, Failure> {
    let by_id: Vec<&File> = files.iter().filter(|file| file.id.to_string().starts_with(wanted)).collect();
    let by_name = files.iter().rev().find(|file| file.name.as_str() == wanted);
    match (by_id.as_slice(), by_name) {
        ([file], _) if wanted.len() >= 4 => Ok(file),
        (_, Some(file)) => Ok(file),
        _ => Err(Failure::usage(format!("no file has the id or name `{}`", printable(wanted)))
            .help("see `autonomy file list`")),
    }
}

/// The progress of a transfer, in bytes.
fn share(file: &File) -> String {
    format!("{} of {}", file.done, file.size)
}

/// The state of a file in words.
fn state(state: FileState) -> &'static str {
    match state {
        FileState::Loading => "upload incomplete",
        FileState::Underway => "in transfer",
        FileState::Complete => "complete",
        FileState::Cancelled => "cancelled",
    }
}

impl From<MailFileError> for Failure {
    fn from(error: MailFileError) -> Self {
        match error {
            MailFileError::Device(error) => error.into(),
            MailFileError::Read { .. } | MailFileError::Write(_) => Self::other("file", error),
            MailFileError::NoFile { .. } | MailFileError::Empty { .. } => Self::usage(error.to_string()),
            MailFileError::Changed { .. } => Self::other("file-changed", error).help("send it again"),
            MailFileError::Hash { .. } => Self::check("file-hash", error)
                .help("ask its sender to send it again; look at your pod's machine"),
            MailFileError::NotHere(_) => {
                Self::other("file-not-here", error).help("with --wait this waits until it has arrived")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use autonomy_api::{Hex, TransferId};
    use autonomy_messaging::payload::FileName;

    use super::*;

    #[test]
    fn a_name_that_hides_or_acts_needs_a_path() {
        let file = |name: &str| File {
            id: TransferId([1; 16]),
            direction: Direction::Incoming,
            name: FileName::new(name).unwrap(),
            size: 1,
            sha256: Hex([0; 32]),
            state: FileState::Complete,
            done: 1,
            at: 0,
        };
        for name in [".bashrc", "-rf", "..x"] {
            assert!(local_name(&file(name)).is_err(), "{name}");
        }
        for name in ["photo.jpg", "a:b.png", "~", "%2e%2e"] {
            assert_eq!(local_name(&file(name)).unwrap(), PathBuf::from(name));
        }
    }
}
