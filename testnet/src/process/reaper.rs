//! Ends the processes that a world left behind, even when its owner had no time to.
//!
//! Direct children are killed by the death signal ([`super`]). A grandchild that has detached
//! itself, as a device's agent does, gets no such signal. But everything that a world starts
//! inherits an environment variable with the world's folder. The reaper is a shell that reads a
//! pipe whose other end this process holds. When the pipe closes, because this process is done or
//! has ended, the shell kills every process that has the variable, until there is none.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The environment variable that all processes of a world carry; its value is the world's folder.
pub(crate) const MARK: &str = "AUTONOMY_TESTNET_FOLDER";

/// `$1` is the variable and its value. A killed process is gone within milliseconds; one that hangs
/// in the kernel is abandoned after 500 rounds of 20 ms. A zombie has no environment, so it is not
/// found.
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

/// The reaper of one world. Dropping it ends all processes that have the world's variable.
#[derive(Debug)]
pub(crate) struct Reaper(Child);

impl Reaper {
    /// Starts the reaper of the world in `folder`.
    ///
    /// # Errors
    /// The shell cannot be started.
    pub(crate) fn for_world(folder: &Path) -> io::Result<Self> {
        let mut mark = OsString::from(format!("{MARK}="));
        mark.push(folder);
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "reaper"]).arg(mark).env_remove(MARK).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Whatever ends our process group must not end this one.
        command.process_group(0).spawn().map(Self)
    }
}

impl Drop for Reaper {
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
    fn reaper_kills_only_detached_processes_of_its_world() {
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
        drop(Reaper::for_world(folder.path()).unwrap());
        assert!(!ours.is_alive());
        assert!(other.is_alive());
        drop(Reaper::for_world(&folder.path().join("other")).unwrap());
        assert!(!other.is_alive());
    }
}
