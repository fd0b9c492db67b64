//! `init`: the keys of a new device, and the words of which they can be made again.
//!
//! Keys are kept only when their words have arrived: printed before anything is written, at a terminal asked back from
//! the paper, and nothing but the last line end after that.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use autonomy_client::{
    Profile,
    connect::agent_socket,
    profile::{NewProfile, ProfileError},
};
use autonomy_daemon::socket_path;
use autonomy_messaging::{AuthSeed, PublicKey, RootPublic};
use autonomy_store::Unlock;
use autonomy_wallet::keys::{Seed, mix_entropy};
use rand_core::{OsRng, RngCore};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Failure,
    args::Init,
    ask,
    context::Context,
    output::{Report, path},
    terminal::{self, Quiet},
    words::{self, Typed},
};

/// Words of each key that are asked back.
const ASKED_BACK: usize = 2;
/// What to do next on a new device.
const NEXT: &str = "The payment key alone cannot spend: it takes the pod, or the recovery key.\n\
    The identity words restore access to your pod.\n\n\
    Next: `autonomy pod init` on the pod's machine, then `autonomy provision REQUEST` here.";

/// Makes this device's profile, from fresh keys or from the words of earlier ones.
///
/// # Errors
/// There is a profile already; words are wrong or cannot be shown; or the profile cannot be written.
pub(super) fn init(context: &Context, wish: &Init) -> Result<Option<Report>, Failure> {
    let dir = context.profile_dir();
    if Profile::exists(&dir) {
        return Err(Failure::other(
            "profile-exists",
            format!("there is a profile in {} already", dir.display()),
        )
        .help("it holds keys: it is never overwritten. Another --profile-dir makes another device"));
    }
    socket_path::check(&agent_socket(&dir)).map_err(Failure::usage)?;
    match wish.restore {
        true => restored(context, wish, &dir).map(Some),
        // Its words are printed by then.
        false => fresh(context, wish, &dir).map(|()| None),
    }
}

/// A device with fresh keys.
fn fresh(context: &Context, wish: &Init, dir: &Path) -> Result<(), Failure> {
    if terminal::output_is_lost() {
        return Err(unseen(&"standard output is closed or leads nowhere"));
    }
    let unlock = context.unlock("new device", true)?;
    let (payment, auth) = draw(&wish.words)?;
    let (payment_words, identity_words) = (payment.words(), words::of_identity(&auth)?);
    let root = auth.root_key().public();
    let json = json!({
        "profile_dir": path(dir), "identity": root.to_string(),
        "payment_words": payment_words.as_str(), "identity_words": identity_words.as_str(),
    });
    let text = Zeroizing::new(format!(
        "profile in {}\nidentity {root}\n\nWrite these words down, on paper. They are not shown again.\n\n\
         payment key:\n{}\nidentity:\n{}",
        dir.display(),
        words::numbered(&payment_words).as_str(),
        words::numbered(&identity_words).as_str(),
    ));
    let answer = Report::new(&json, text.as_str());
    context.out.begin_answer(&answer).map_err(|error| unseen(&error))?;
    // Written to a file, the words are there to be looked at.
    if !context.out.json && terminal::has_person() && io::stdout().is_terminal() {
        asked_back(&payment_words, "payment key")?;
        asked_back(&identity_words, "identity")?;
    }
    let profile = created(dir, &unlock, &wish.name, payment, auth)?;
    if let Err(error) = context.out.end_answer() {
        // Nobody has these keys but this process, and their words may not have arrived.
        drop(profile);
        let _ = std::fs::remove_file(Profile::path(dir));
        return Err(unseen(&error));
    }
    context.out.note(&format!("\n{NEXT}"));
    Ok(())
}

/// A device with the keys of earlier words. Whose they are is shown before they are kept: two lists of 24 words can be
/// given the wrong way round.
fn restored(context: &Context, wish: &Init, dir: &Path) -> Result<Report, Failure> {
    let unlock = context.unlock("new device", true)?;
    let (payment, auth) = read()?.seeds()?;
    let root = auth.root_key().public();
    compared(&root, wish.identity.as_deref())?;
    let profile = created(dir, &unlock, &wish.name, payment, auth)?;
    let device = PublicKey::from(&profile.device_key()).to_string();
    let json = json!({ "profile_dir": path(dir), "identity": root.to_string(), "device": device });
    Ok(Report::new(&json, format!("profile in {}\nidentity {root}", dir.display())))
}

/// Holds the identity of the words against the one that is expected; without one, a person is asked.
fn compared(root: &RootPublic, expected: Option<&str>) -> Result<(), Failure> {
    match expected {
        Some(expected) if expected != root.to_string() => {
            let detail = format!("these words are of another identity: {root}");
            Err(Failure::check("another-identity", detail)
                .help("was the identity given first? the payment key comes first; no profile was made"))
        }
        Some(_) => Ok(()),
        None if !terminal::has_person() => Ok(()),
        None => {
            let question = format!("These words are of the identity {root}.\nIs it yours?");
            ask::confirm(&question, false).map_err(|failure| {
                failure.help("were the two lists given the wrong way round? no profile was made")
            })
        }
    }
}

/// Makes the profile.
fn created(
    dir: &Path,
    unlock: &Unlock,
    name: &str,
    payment: Seed,
    auth: AuthSeed,
) -> Result<Profile, ProfileError> {
    let keys = NewProfile { name: name.to_owned(), auth_seed: Some(auth), payment_seed: Some(payment) };
    Profile::create(dir, unlock, keys)
}

/// The failure of words that did not arrive.
fn unseen(why: &dyn std::fmt::Display) -> Failure {
    Failure::other("output", format!("the words cannot be shown, so no profile was made: {why}"))
        .help("run it at a terminal, or write its output to a file that stays")
}

/// Fresh secrets. Each is drawn by itself, so that one says nothing about the other.
fn draw(words: &str) -> Result<(Seed, AuthSeed), Failure> {
    let mut system = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(system.as_mut_slice());
    let broken = |error: autonomy_wallet::keys::EntropyError| Failure::check("entropy", error);
    let payment = match words {
        "12" => {
            let entropy = mix_entropy::<16>("autonomy/seed/12/v1", &system, &[]).map_err(broken)?;
            Seed::from_entropy(entropy.as_slice()).map_err(|error| Failure::other("words", error))?
        }
        _ => Seed::generate(&system, &[]).map_err(broken)?,
    };
    Ok((payment, AuthSeed::generate(&mut OsRng)))
}

/// Asks for some words from the paper, until they are right. What is typed is not shown.
fn asked_back(words: &str, whose: &str) -> Result<(), Failure> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut quiet = Quiet::begin().map_err(unreadable)?;
    let half = words.len() / ASKED_BACK;
    for part in 0..ASKED_BACK {
        let at = part * half + OsRng.next_u32() as usize % half;
        let mut question = format!("From your paper, word {} of the {whose}: ", at + 1);
        while quiet.line(&question).map_err(unreadable)?.trim().to_lowercase() != words[at] {
            question = format!("That is not it. Word {} of the {whose}: ", at + 1);
        }
    }
    Ok(())
}

/// The words of an earlier profile: at a terminal not shown while typed or pasted, else the lines of standard input.
fn read() -> Result<Typed, Failure> {
    let mut typed = Typed::default();
    if !terminal::has_person() {
        for line in io::stdin().lines() {
            if typed.take(&Zeroizing::new(line.map_err(unreadable)?)) {
                break;
            }
        }
        return Ok(typed);
    }
    let mut quiet = Quiet::begin().map_err(unreadable)?;
    let mut question = "Type or paste the words of the payment key, then those of the identity.\n\
        They are not shown. End with an empty line.\n";
    while !typed.take(&quiet.line(question).map_err(unreadable)?) {
        question = "";
    }
    Ok(typed)
}

fn unreadable(error: io::Error) -> Failure {
    Failure::other("input", format!("the words cannot be read, so no profile was made: {error}"))
}
