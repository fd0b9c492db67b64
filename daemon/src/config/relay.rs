//! The settings of `[relay]`: how much a relay keeps, and for whom.

use std::path::PathBuf;

use autonomy_messaging::{place::Capability, queue::QueueLimits};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;

use super::{Config, data_home};
use crate::relay::RelayConfig;

/// `[relay]`: for a relay that runs by itself, and for a pod that runs one too.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelaySection {
    /// Whether a pod runs a relay for others.
    pub enabled: bool,
    /// Invitation tokens, 64 hex digits each: whoever shows one may open queues.
    pub tokens: Vec<RelayToken>,
    /// Whether queues are opened for holders of a token only.
    pub by_invitation: bool,
    /// Most queues.
    pub max_queues: Option<u64>,
    /// Most frames of 16 KiB, in all queues.
    pub max_frames: Option<u64>,
    /// Most frames in one queue.
    pub frames_per_queue: Option<u32>,
    /// MiB of the disk to be left free.
    pub free_disk_mib: Option<u64>,
}

/// Tokens are secrets: only their number is printed.
impl std::fmt::Debug for RelaySection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RelaySection")
            .field("enabled", &self.enabled)
            .field("tokens", &self.tokens.len())
            .field("by_invitation", &self.by_invitation)
            .field("max_queues", &self.max_queues)
            .field("max_frames", &self.max_frames)
            .field("frames_per_queue", &self.frames_per_queue)
            .field("free_disk_mib", &self.free_disk_mib)
            .finish()
    }
}

/// A relay's invitation token: a secret, so it has no `Debug`.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct RelayToken(Capability);

impl TryFrom<String> for RelayToken {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(|bytes| Self(Capability::from_bytes(bytes)))
            .ok_or_else(|| "a token has 64 hex digits".into())
    }
}

impl Config {
    /// The relay's configuration; what the settings leave open has the usual value.
    ///
    /// Tokens are kept as hashes from here on.
    #[must_use]
    pub fn relay(&self) -> RelayConfig {
        let section = &self.relay;
        let usual = RelayConfig::default();
        let limits = QueueLimits {
            max_queues: section.max_queues.unwrap_or(usual.limits.max_queues),
            max_frames: section.max_frames.unwrap_or(usual.limits.max_frames),
            frames_per_queue: section.frames_per_queue.unwrap_or(usual.limits.frames_per_queue),
            ..usual.limits
        };
        RelayConfig {
            limits,
            tokens: section.tokens.iter().map(|token| token.0.hash()).collect(),
            strangers: !section.by_invitation,
            free_disk: section.free_disk_mib.map_or(usual.free_disk, |mib| mib.saturating_mul(1 << 20)),
        }
    }

    /// The folder of a relay that runs by itself: `~/.local/share/autonomy/relay` where no setting
    /// names another.
    #[must_use]
    pub fn relay_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| data_home().join("autonomy").join("relay"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relay_section_sets_limits_and_hides_tokens() {
        let token = "ab".repeat(32);
        let config: Config = toml::from_str(&format!(
            "[relay]\nenabled = true\ntokens = [\"{token}\"]\nby_invitation = true\nmax_frames = 10\nfree_disk_mib = 1"
        ))
        .unwrap();
        let relay = config.relay();
        assert_eq!((relay.limits.max_frames, relay.free_disk, relay.strangers), (10, 1 << 20, false));
        assert_eq!(relay.limits.max_queues, QueueLimits::default().max_queues);
        assert!(relay.tokens[0].admits(&Capability::from_bytes([0xab; 32])));
        assert!(!format!("{config:?}").contains(&token));
        let short = toml::from_str::<Config>("[relay]\ntokens = [\"abc\"]").unwrap_err();
        assert!(short.to_string().contains("64 hex digits"), "{short}");
    }
}
