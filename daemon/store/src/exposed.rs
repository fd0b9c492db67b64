//! Whether others on the machine can open a file that only its user should.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

/// Whom a mode speaks of beside the user: the group, and all others.
const OTHERS: [u32; 2] = [0o070, 0o007];
/// To read or write a file.
const OPEN: u32 = 0o066;
/// To go through a folder.
const PASS: u32 = 0o011;

/// Whether the group or others may open this file: its mode lets them, and so does every folder above it. A file that
/// nobody can come to is safe whatever its own mode, and so is a pipe.
///
/// # Errors
/// The file or a folder above it cannot be looked at.
pub(super) fn is_exposed(path: &Path) -> io::Result<bool> {
    if !fs::metadata(path)?.is_file() {
        return Ok(false);
    }
    let path = path.canonicalize()?;
    let mode = |path: &Path| fs::metadata(path).map(|found| found.permissions().mode());
    let file = mode(&path)?;
    let folders = path.ancestors().skip(1).map(mode).collect::<io::Result<Vec<_>>>()?;
    let may = |whom: u32| file & whom & OPEN != 0 && folders.iter().all(|folder| folder & whom & PASS != 0);
    Ok(OTHERS.into_iter().any(may))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_exposed_if_others_come_to_it_and_may_open_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "key").unwrap();
        let with = |of_folder, of_file| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(of_folder)).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(of_file)).unwrap();
            is_exposed(&file).unwrap()
        };
        assert!(with(0o755, 0o644) && with(0o755, 0o640) && with(0o711, 0o602));
        assert!(!with(0o755, 0o600) && !with(0o755, 0o400) && !with(0o755, 0o711));
        assert!(!with(0o700, 0o666), "nobody else can enter the folder");
    }
}
