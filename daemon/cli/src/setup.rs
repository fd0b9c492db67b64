//! `init` and `provision`: the keys of a new device, and its pod.

use autonomy_messaging::AuthSeed;
use autonomy_wallet::keys::{Seed, mix_entropy};
use rand_core::{OsRng, RngCore};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Failure,
    args::{Init, Provision},
    ask,
    context::{Context, now},
    output::Report,
};
use autonomy_client::{Profile, files::write_private, profile::NewProfile};

/// Makes this device's profile, from fresh keys or from the words of earlier ones. The words of
/// fresh keys are printed once.
///
/// With `--restore` no words are printed, since the person has them.
///
/// # Errors
/// There is a profile already; words are wrong; or the profile cannot be written.
pub(super) async fn init(context: &Context, init: &Init) -> Result<Report, Failure> {
    let dir = context.profile_dir();
    if Profile::exists(&dir) {
        return Err(Failure::other(
            "profile-exists",
            format!("there is a profile in {} already", dir.display()),
        )
        .help("it holds keys: it is never overwritten. Another --profile-dir makes another device"));
    }
    let (payment, auth) = if init.restore { restore()? } else { draw(&init.words)? };
    let root = auth.root_key().public().to_string();
    let words = (payment.words(), identity_words(&auth)?);
    let unlock = context.unlock("new device", true)?;
    let new_profile =
        NewProfile { name: init.name.clone(), auth_seed: Some(auth), payment_seed: Some(payment) };
    let profile = Profile::create(&dir, &unlock, new_profile)?;
    let device = autonomy_messaging::PublicKey::from(&profile.device_key()).to_string();
    if init.restore {
        let json = json!({ "profile_dir": dir, "identity": root, "device": device });
        return Ok(Report::new(&json, format!("profile in {}\nidentity {root}", dir.display())));
    }
    let (payment_words, identity_words) = (words.0.as_str(), words.1.as_str());
    let json = json!({
        "profile_dir": dir, "identity": root, "device": device,
        "payment_words": payment_words, "identity_words": identity_words,
    });
    let text = format!(
        "profile in {}\nidentity {root}\n\nWrite these words down, on paper. They are not shown again.\n\n\
         payment key:\n{}\n\nidentity:\n{}\n\nThe payment key alone cannot spend: it takes the pod, or the recovery key. \
         The identity finds and rules your pod.\n\nNext: `autonomy pod init` on the pod's machine, then `autonomy provision REQUEST` here.",
        dir.display(),
        numbered(payment_words).as_str(),
        numbered(identity_words).as_str(),
    );
    Ok(Report::new(&json, text))
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

/// The secrets of an earlier profile, by the words that the person enters.
///
/// # Errors
/// The words break BIP-39, or the identity has not 24 of them.
fn restore() -> Result<(Seed, AuthSeed), Failure> {
    let payment = seed_of(&ask::words("Words of the payment key: ")?, "payment key")?;
    let identity = seed_of(&ask::words("Words of the identity: ")?, "identity")?;
    let bytes = identity.entropy().try_into().map_err(|_| Failure::usage("the identity has 24 words"))?;
    Ok((payment, AuthSeed::from_bytes(bytes)))
}

/// A seed by its words; `whose` names it in the failure.
fn seed_of(words: &str, whose: &str) -> Result<Seed, Failure> {
    Seed::from_words(words).map_err(|error| Failure::usage(format!("{whose}: {error}")))
}

/// The auth seed as BIP-39 words: 32 bytes are 24 words.
fn identity_words(auth: &AuthSeed) -> Result<Zeroizing<String>, Failure> {
    Seed::from_entropy(auth.as_bytes())
        .map(|seed| seed.words())
        .map_err(|error| Failure::other("words", error))
}

/// Words in rows of six with their numbers, to be copied onto paper.
fn numbered(words: &str) -> Zeroizing<String> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut text = Zeroizing::new(String::with_capacity(words.len() * 16));
    for (row, chunk) in words.chunks(6).enumerate() {
        for (column, word) in chunk.iter().enumerate() {
            // BIP-39 words have 8 letters at most.
            let width = if column + 1 < chunk.len() { 8 } else { 0 };
            text.push_str(&format!("{:>4} {word:<width$}", row * 6 + column + 1));
        }
        text.push('\n');
    }
    text
}

/// Seals a bundle that answers a pod's request.
///
/// The bundle can be opened by the pod that made the request only, so it needs no secret channel.
///
/// # Errors
/// The text is not a request; the profile has another pod and the person does not want to replace
/// it; or the bundle cannot be written to the file.
pub(super) async fn provision(context: &Context, wish: &Provision) -> Result<Report, Failure> {
    let request = ask::text(&wish.request)?;
    let mut profile = context.profile().await?;
    if let Some(pod) = profile.pod() {
        let question = format!("This device has the pod {} already. Replace it?", pod.name());
        ask::confirm(&question, wish.yes)?;
    }
    let bundle = profile.provision(&request, &wish.name, wish.new_address, now())?;
    if let Some(path) = &wish.out {
        write_private(path, format!("{bundle}\n").as_bytes())?;
    }
    let network = profile.pod().map(|pod| pod.network().to_string());
    let onion =
        profile.pod().map(|pod| autonomy_onion::OnionAddress::from_public_key(*pod.app_onion()).to_string());
    let json = json!({ "bundle": bundle, "network": network, "onion": onion, "out": wish.out });
    let text = format!(
        "{bundle}\n\nNext, on the pod's machine: `autonomy pod adopt BUNDLE`, then `autonomy pod run`."
    );
    Ok(Report::new(&json, text).with_qr(bundle.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restored_words_give_the_same_keys() {
        for count in ["12", "24"] {
            let (payment, auth) = draw(count).unwrap();
            assert_eq!(payment.words().split_whitespace().count().to_string(), count);
            assert_eq!(seed_of(&payment.words(), "payment key").unwrap(), payment);
            let identity = seed_of(&identity_words(&auth).unwrap(), "identity").unwrap();
            assert_eq!(identity.entropy(), auth.as_bytes());
        }
    }

    #[test]
    fn words_are_printed_in_numbered_rows() {
        let rows = "   1 a          2 b          3 c          4 d          5 e          6 f\n   7 g\n";
        assert_eq!(numbered("a b c d e f g").as_str(), rows);
    }
}
