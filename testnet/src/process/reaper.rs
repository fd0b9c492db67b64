//! Ends what a world left behind, even when its owner had no time to.
//!
//! Direct children die by the death signal ([`super`]); a *grandchild* that has cut itself loose, as a
//! device's agent does, gets none. But whatever a world starts inherits an environment variable that names
//! the world's folder. The undertaker is a shell that does nothing but read a pipe whose other end we hold.
//! When that closes, because we are done or because we are no more, it kills every process that carries the
//! world's name until there is none.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The environment variable that all processes of a world carry; its value is the world's folder.
pub(crate) const MARK: &str = "AUTONOMY_TESTNET_FOLDER";

/// `$1` is the marked variable. A killed process is gone within milliseconds; one that hangs in the kernel
/// is given up after 500 rounds of 20 ms. A zombie has no environment, so it is not found.
const SCRIPT: &str = r#"
cat > /dev/null
rounds=0
while [ $rounds -lt 500 ]; do
  found=$(grep -lszxF -e "$1" /proc/[0-9]*/environ)
  [ -n "$found" ] || exit 0
  for file in $found; do
    pid=${file#/proc/}
    kill -KILL "${pid%/environ}" 2> /dev/null
  done
  rounds=$((rounds + 1))
  sleep 0.02
done
exit 1
"#;

/// The undertaker of one world. Dropping it ends all that carries the world's mark.
#[derive(Debug)]
pub(crate) struct Undertaker(Child);

impl Undertaker {
    /// Stands by for the world in `folder`.
    pub(crate) fn for_world(folder: &Path) -> io::Result<Self> {
        let mut mark = OsString::from(format!("{MARK}="));
        mark.push(folder);
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "undertaker"]).arg(mark).env_remove(MARK).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Whatever ends our process group must not end this one.
        command.process_group(0).spawn().map(Self)
    }
}

impl Drop for Undertaker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It always ends; what it could not kill no one could.
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::process::Identity;
    use std::time::Duration;

    #[test]
    fn a_grandchild_that_cut_itself_loose_goes_with_its_world_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let loose =
            format!("setsid sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600' &", file.display());
        let start = |mark: &Path| {
            let started = Command::new("sh").args(["-c", &loose]).env(MARK, mark).status().unwrap();
            assert!(started.success());
            clock::wait_until(Duration::from_secs(10), || file.exists()).unwrap();
            let pid = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
            std::fs::remove_file(&file).unwrap();
            Identity::of(pid)
        };
        let ours = start(folder.path());
        let other = start(&folder.path().join("other"));
        drop(Undertaker::for_world(folder.path()).unwrap());
        assert!(!ours.is_alive());
        assert!(other.is_alive());
        drop(Undertaker::for_world(&folder.path().join("other")).unwrap());
        assert!(!other.is_alive());
    }
}
