//! The terminal while secrets are typed or pasted into it.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal as _, Read as _, Write as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
};

use rustix::termios::{self, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios};
use zeroize::Zeroizing;

/// What a terminal gives for Ctrl-C where it sends no signal.
const CTRL_C: u8 = 3;
/// Longest line: as long as a terminal takes.
const MAX_LINE: usize = 4_096;

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
        // Ctrl-C ends a line and kills nothing: the terminal would stay without echo.
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        termios::tcsetattr(&terminal, OptionalActions::Now, &quiet)?;
        Ok(Self { terminal, before })
    }

    /// One line, at most [`MAX_LINE`] bytes of UTF-8.
    ///
    /// # Errors
    /// The person ended the input or typed Ctrl-C, or the terminal went away.
    pub(crate) fn line(&mut self, question: &str) -> io::Result<Zeroizing<String>> {
        self.terminal.write_all(question.as_bytes())?;
        // Room for the whole at once: a vector that grows leaves copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
        let mut byte = [0];
        loop {
            match self.terminal.read(&mut byte)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                _ if byte[0] == CTRL_C => return Err(io::Error::other("interrupted")),
                _ if byte[0] == b'\n' => break,
                _ if line.len() == MAX_LINE => return Err(io::Error::other("the line is too long")),
                _ => line.push(byte[0]),
            }
        }
        self.terminal.write_all(b"\n")?;
        let text = std::str::from_utf8(&line).map_err(|_| io::Error::other("the line is not UTF-8"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that went away needs neither.
        let _ = termios::tcflush(&self.terminal, QueueSelector::IFlush);
        let _ = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Throws away what was typed and not read yet.
pub(crate) fn discard_typed() {
    // What is no terminal holds nothing that a person has typed.
    let _ = termios::tcflush(io::stdin(), QueueSelector::IFlush);
}

/// Ends the line in which a person has typed Ctrl-C.
pub(crate) fn end_line() {
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
