//! Opening a small file that a person named, whatever it turns out to be.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
    thread,
    time::Duration,
};

use rustix::fs::OFlags;

/// How often a pipe is looked at.
const PAUSE: Duration = Duration::from_millis(20);
/// Looks at a pipe before it counts as silent: five seconds.
const LOOKS: u32 = 250;

/// Opens a file for reading. A pipe (`<(command)`) is waited for, for five seconds: one that nobody writes to would
/// be waited for without end.
///
/// # Errors
/// It cannot be opened, is a folder, or is a pipe to which nobody writes.
pub fn open(path: &Path) -> io::Result<impl io::Read> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(Patient { file, is_pipe: kind.is_fifo(), has_begun: false })
}

/// Reads on until a pipe ends.
struct Patient {
    file: File,
    is_pipe: bool,
    has_begun: bool,
}

impl io::Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..LOOKS {
            match io::Read::read(&mut self.file, buffer) {
                // A pipe that nobody has opened for writing yet looks as if it had ended.
                Ok(0) if self.is_pipe && !self.has_begun && !buffer.is_empty() => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => {
                    self.has_begun = true;
                    return done;
                }
            }
            thread::sleep(PAUSE);
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "it is a pipe, and nobody writes to it"))
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, process::Command};

    use super::*;

    fn read(path: &Path) -> io::Result<String> {
        let mut text = String::new();
        open(path)?.take(100).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn pipe_is_read_to_its_end_and_a_silent_one_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let script = format!("sleep 0.2; echo one; sleep 0.2; echo two; : > '{}'.ended", pipe.display());
        let mut writer =
            Command::new("sh").args(["-c", &format!("({script}) > '{}'", pipe.display())]).spawn().unwrap();
        assert_eq!(read(&pipe).unwrap(), "one\ntwo\n");
        assert!(writer.wait().unwrap().success());
        assert_eq!(read(&pipe).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn folder_is_no_file_and_a_device_without_end_is_bounded_by_its_reader() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(read(Path::new("/dev/zero")).unwrap().len(), 100);
        std::fs::write(dir.path().join("file"), "text").unwrap();
        assert_eq!(read(&dir.path().join("file")).unwrap(), "text");
    }
}
