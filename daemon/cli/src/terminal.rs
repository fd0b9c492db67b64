//! The terminal while secrets are typed or pasted into it.

use std::{
    fs::File,
    io::{self, IsTerminal as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
};

use rustix::termios::{self, LocalModes, OptionalActions, QueueSelector, Termios};
use zeroize::Zeroizing;

/// A terminal without echo. At its end, whatever was pasted and not read is thrown away: it would be echoed, and run by
/// the shell.
#[derive(Debug)]
pub(crate) struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    /// Turns the echo of standard input's terminal off.
    ///
    /// # Errors
    /// There is no such terminal.
    pub(crate) fn begin() -> io::Result<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = termios::tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        termios::tcsetattr(&terminal, OptionalActions::Now, &quiet)?;
        Ok(Self { terminal, before })
    }

    /// One line.
    ///
    /// # Errors
    /// The person ended the input, or the terminal went away.
    #[expect(clippy::unused_self, reason = "a line is read only while the echo is off")]
    pub(crate) fn line(&self, question: &str) -> io::Result<Zeroizing<String>> {
        rpassword::prompt_password(question).map(Zeroizing::new)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that went away needs neither.
        let _ = termios::tcflush(&self.terminal, QueueSelector::IFlush);
        let _ = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Ends the line in which a person has typed Ctrl-C.
pub(crate) fn end_line() {
    use std::io::Write as _;
    if has_person() {
        // Where standard error is closed, nobody sees the line.
        let _ = writeln!(io::stderr().lock());
    }
}

/// Whether a person sits at standard input and reads standard error.
pub(crate) fn has_person() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether standard output leads nowhere: to the null device, which also stands in for one that was closed.
pub(crate) fn output_is_lost() -> bool {
    use std::os::fd::AsFd as _;
    let out = io::stdout().as_fd().try_clone_to_owned().map(File::from).and_then(|file| file.metadata());
    let null = std::fs::metadata("/dev/null");
    matches!((out, null), (Ok(out), Ok(null)) if out.file_type().is_char_device() && out.rdev() == null.rdev())
}
