//! Which devices find the app service: the keys in its descriptor follow the devices that are admitted.

use std::time::Duration;

use autonomy_onion::{DescriptorPublicKey, LaunchError};
use tokio::{sync::watch, time::sleep};

use crate::driver::Admitted;

/// Pause before keys are published again that Arti refused.
const RETRY: Duration = Duration::from_secs(10);

/// The keys that were published, and those that should be.
///
/// It is made before the service is launched, and the service with [`Discovery::published`]: a device that is added or
/// revoked while the launch takes its time is then one more change.
#[derive(Debug)]
pub(super) struct Discovery {
    admitted: watch::Receiver<Admitted>,
    published: Vec<DescriptorPublicKey>,
}

impl Discovery {
    /// To be published with the launch: the devices admitted now.
    pub(super) fn new(mut admitted: watch::Receiver<Admitted>) -> Self {
        let published = descriptor_keys(&admitted.borrow_and_update());
        Self { admitted, published }
    }

    /// The keys to launch the service with.
    pub(super) fn published(&self) -> &[DescriptorPublicKey] {
        &self.published
    }

    /// Publishes the descriptor anew, by `set`, when devices are added or removed, until `stop` turns true.
    ///
    /// A failed change is logged and tried again after [`RETRY`]; until then the descriptor names the devices of before,
    /// and TLS still refuses the revoked ones.
    pub(super) async fn keep_current(
        mut self,
        set: impl Fn(Vec<DescriptorPublicKey>) -> Result<(), LaunchError>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let current = self.publish(&set);
            tokio::select! {
                changed = self.admitted.changed() => if changed.is_err() { return },
                () = sleep(RETRY), if !current => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Publishes the keys of the devices admitted now. Gives whether the descriptor has them.
    fn publish(&mut self, set: &impl Fn(Vec<DescriptorPublicKey>) -> Result<(), LaunchError>) -> bool {
        let keys = descriptor_keys(&self.admitted.borrow_and_update());
        if keys == self.published {
            return true;
        }
        match set(keys.clone()) {
            Ok(()) => {
                self.published = keys;
                true
            }
            Err(error) => {
                tracing::error!("the descriptor keys cannot be changed: {error}");
                false
            }
        }
    }
}

/// The keys of all devices that may find the app service.
fn descriptor_keys(admitted: &Admitted) -> Vec<DescriptorPublicKey> {
    admitted.descriptor_keys.iter().map(|key| DescriptorPublicKey::from_bytes(*key)).collect()
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Admits devices with these descriptor keys.
    fn admit(keys: &[u8]) -> impl FnOnce(&mut Admitted) {
        move |admitted| admitted.descriptor_keys = keys.iter().map(|key| [*key; 32]).collect()
    }

    fn keys(keys: &[u8]) -> Vec<DescriptorPublicKey> {
        keys.iter().map(|key| DescriptorPublicKey::from_bytes([*key; 32])).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn device_added_during_the_launch_is_published_after_it() {
        let (admitted, seen) = watch::channel(Admitted::default());
        let (_stop, stopping) = watch::channel(false);
        admitted.send_modify(admit(&[1]));
        let devices = Discovery::new(seen);
        assert_eq!(devices.published(), keys(&[1]));
        // While the service is being launched.
        admitted.send_modify(admit(&[1, 2]));
        let (set, mut published) = mpsc::unbounded_channel();
        let current = devices.keep_current(move |keys| Ok(set.send(keys).unwrap()), stopping);
        tokio::select! {
            () = current => panic!("nobody stops it"),
            keys_now = published.recv() => assert_eq!(keys_now.unwrap(), keys(&[1, 2])),
            () = sleep(RETRY) => panic!("nothing is published"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refused_change_of_devices_is_tried_again() {
        let (admitted, seen) = watch::channel(Admitted::default());
        let (_stop, stopping) = watch::channel(false);
        let devices = Discovery::new(seen);
        admitted.send_modify(admit(&[1]));
        let (set, mut tried) = mpsc::unbounded_channel();
        let refuse = move |keys| {
            set.send(keys).unwrap();
            Err(LaunchError::Arti("not now".into()))
        };
        let current = devices.keep_current(refuse, stopping);
        let two_tries = async { [tried.recv().await.unwrap(), tried.recv().await.unwrap()] };
        tokio::select! {
            () = current => panic!("nobody stops it"),
            tries = two_tries => assert_eq!(tries, [keys(&[1]), keys(&[1])]),
            () = sleep(3 * RETRY) => panic!("it is tried once only"),
        }
    }
}
