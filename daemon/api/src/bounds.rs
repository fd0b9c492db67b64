//! The largest bodies and keys that a pod takes: the same bounds hold at the pod, at the agent, and at a device.

use autonomy_messaging::carrier::MAX_PARCEL;

/// Longest `Idempotency-Key`, bytes: four UUIDs written out.
pub const MAX_KEY_LEN: usize = 64;
/// Largest body but for a signed payment, bytes: the longest command is a certificate in hexadecimal with names,
/// about 1 kB; a payment to 100 recipients about 12 kB.
pub const MAX_BODY: usize = 64 * 1024;
/// Largest body of a signed payment, bytes: a PSBT of the wallet's 4 MiB in base64 (4/3), and some JSON around it.
pub const MAX_SIGNED_BODY: usize = 6 * 1024 * 1024;
/// Largest piece of a file, bytes: 40 chunks of 11,500 are 460,000.
pub const MAX_CHUNKS_BODY: usize = 460_000;
/// Largest parcel of carried messages, bytes: 1,024 of 16 KiB are 16.7 MB.
pub const MAX_PARCEL_BODY: usize = MAX_PARCEL;
