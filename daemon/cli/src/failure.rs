//! How a command fails: one sentence on what is wrong, one on what to do, and an exit status for
//! scripts.

use std::{borrow::Cow, io::Write};

use autonomy_client::CallError;

/// Exit status of a command. The numbers are part of the interface: scripts depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// A failure without a status of its own.
    Failed = 1,
    /// The command line cannot be used.
    Usage = 2,
    /// A check on this device refused, to protect money or keys.
    Check = 3,
    /// The pod could not be reached.
    Unreachable = 4,
    /// The pod refused.
    PodRefused = 5,
    /// The outcome is unknown and must be found out before anything is repeated.
    InDoubt = 6,
    /// A signal ended the command before it changed anything: 128 and the number of SIGINT, as shells have it.
    Interrupted = 130,
}

/// What each exit status means: said in the help, the manual pages and docs/config.md.
pub const EXIT_STATUS: [(u8, &str); 8] = [
    (0, "success"),
    (Exit::Failed as u8, "failure on this machine"),
    (Exit::Usage as u8, "wrong usage, or a name or id that names nothing"),
    (Exit::Check as u8, "refused by a check on this device, or not confirmed"),
    (Exit::Unreachable as u8, "pod not reachable"),
    (Exit::PodRefused as u8, "refused by the pod"),
    (Exit::InDoubt as u8, "outcome unknown: check before you repeat the command"),
    (Exit::Interrupted as u8, "interrupted before anything was changed"),
];

/// A command that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit status.
    pub exit: Exit,
    /// A stable identifier for scripts, such as `no-profile`.
    pub kind: Cow<'static, str>,
    /// What is wrong.
    pub detail: String,
    /// What to do about it, where there is something to do.
    pub help: Option<String>,
}

impl Failure {
    /// A failure of this kind, without advice.
    #[must_use]
    pub fn new(exit: Exit, kind: &'static str, detail: impl std::fmt::Display) -> Self {
        Self { exit, kind: kind.into(), detail: detail.to_string(), help: None }
    }

    /// A failure on this machine, exit status 1.
    #[must_use]
    pub fn other(kind: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::new(Exit::Failed, kind, detail)
    }

    /// A command line that cannot be used, exit status 2.
    #[must_use]
    pub fn usage(detail: impl std::fmt::Display) -> Self {
        Self::new(Exit::Usage, "usage", detail)
    }

    /// A check that refused, exit status 3.
    #[must_use]
    pub fn check(kind: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::new(Exit::Check, kind, detail)
    }

    /// The same failure with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Prints the failure on standard error: for people in two lines, with `json` as one object.
    pub fn report(&self, json: bool) {
        let text = if json { self.json() } else { self.text() };
        // Where standard error is closed, the exit status alone reports the failure.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// The failure as one JSON object: `{"error": {"kind", "detail", "help"}}`.
    fn json(&self) -> String {
        let mut error = serde_json::json!({ "kind": self.kind, "detail": self.detail });
        if let Some(help) = &self.help {
            error["help"] = help.as_str().into();
        }
        serde_json::json!({ "error": error }).to_string()
    }

    /// The failure for people.
    fn text(&self) -> String {
        let detail = in_short(&self.detail);
        match &self.help {
            Some(help) => format!("error: {detail}\n help: {help}"),
            None => format!("error: {detail}"),
        }
    }
}

/// Longest explanation that people are shown, characters: five lines of a terminal. Tor gives one for each of six attempts.
const MAX_SHOWN: usize = 400;

/// The explanation for people; programs get all of it.
fn in_short(detail: &str) -> Cow<'_, str> {
    match detail.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{} … (--json shows all of it)", detail[..end].trim_end()).into(),
        None => detail.into(),
    }
}

/// Advice where the pod was not reached, so nothing was done.
const REACH: &str = "check that the pod runs (`autonomy pod status` there) and that this machine is online";

/// What a request to the pod ended with. Requests that were not sent, that were refused, and whose
/// outcome is unknown have different exit statuses.
impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let detail = error.to_string();
        match error {
            CallError::Unreachable { .. } => Self::new(Exit::Unreachable, "unreachable", detail).help(REACH),
            CallError::TooSlow { .. } => Self::new(Exit::Unreachable, "timeout", detail).help(REACH),
            CallError::Unanswered { .. } => Self::new(Exit::InDoubt, "unanswered", detail).help(
                "look what became of it before you do it again: `autonomy account list`, `autonomy payment list`, \
                 `autonomy device list`",
            ),
            CallError::NotAdmitted { .. } => Self::new(Exit::PodRefused, "not-admitted", detail)
                .help("it was revoked or never added: let a device with full access run `autonomy device add`"),
            CallError::WrongPod => Self::check("wrong-pod", detail)
                .help("was the pod set up anew? then `autonomy provision` it again; if not, somebody holds its onion key"),
            CallError::TooLarge { .. } | CallError::Misshapen { .. } => Self::check("bad-answer", detail)
                .help("the pod may run another version than this device: compare `autonomy --version` on both"),
            CallError::BadRequest { .. } => Self::usage(detail),
            CallError::Refused { kind, .. } => Self { kind: kind.into(), ..Self::new(Exit::PodRefused, "", detail) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_prints_two_lines_as_text_and_one_object_as_json() {
        let failure = Failure::check("wrong-address", "the address is not ours").help("do not use it");
        assert_eq!(failure.text(), "error: the address is not ours\n help: do not use it");
        let json: serde_json::Value = serde_json::from_str(&failure.json()).unwrap();
        assert_eq!(json["error"]["kind"], "wrong-address");
        assert_eq!(failure.exit as u8, 3);
    }

    #[test]
    fn reference_page_names_every_exit_status() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
        let page = std::fs::read_to_string(page).unwrap();
        for (status, meaning) in EXIT_STATUS {
            assert!(page.contains(&format!("| {status} | {meaning} |")), "{status}");
        }
    }

    #[test]
    fn people_are_shown_the_beginning_of_a_long_explanation() {
        let long = Failure::other("tor", "ä".repeat(MAX_SHOWN + 1));
        assert!(long.text().chars().count() < MAX_SHOWN + 50 && long.text().contains("--json"));
        assert!(long.json().contains(&"ä".repeat(MAX_SHOWN + 1)));
        let short = Failure::other("tor", "ä".repeat(MAX_SHOWN));
        assert!(!short.text().contains("--json"));
    }

    #[test]
    fn each_failure_has_its_own_exit_status() {
        let unreachable = CallError::Unreachable { detail: "x".into(), never_sent: true };
        let refused = CallError::Refused {
            kind: "gap-limit".into(),
            status: 409,
            title: "No".into(),
            detail: "d".into(),
        };
        assert_eq!(Failure::from(unreachable).exit as u8, 4);
        let unanswered = CallError::Unanswered { what: "POST /v1/accounts".into(), why: "lost".into() };
        assert_eq!(Failure::from(unanswered).exit as u8, 6);
        let refused = Failure::from(refused);
        assert_eq!((refused.exit as u8, refused.kind.as_ref()), (5, "gap-limit"));
        assert_eq!(Failure::usage("x").exit as u8, 2);
        assert_eq!(Failure::other("x", "y").exit as u8, 1);
    }
}
