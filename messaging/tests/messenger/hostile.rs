//! What ill-meaning relays, strangers and contacts can do: cost a little work, and nothing else.

mod frames;
mod hellos;
mod insiders;
mod invites;
mod resets;
