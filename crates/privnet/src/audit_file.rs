//! The audit log as a file: one JSON line for each decision, on disk before the decision is carried out.

use std::error::Error as StdError;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use privnet_core::audit::{AuditEntry, AuditLog};

/// Appends to a file, which is made with its folders where it is not there. Each entry is one write, so that several
/// processes can share a log.
#[derive(Clone, Debug)]
pub struct AuditFile {
    path: PathBuf,
}

impl AuditFile {
    /// A log at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self) -> std::io::Result<File> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        // A pipe without a reader would be waited for, and what is no file keeps nothing.
        if std::fs::metadata(&self.path).is_ok_and(|there| !there.is_file()) {
            return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path)
    }
}

/// What kept an entry from being written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to {}", path.display())]
pub struct AuditFileError {
    path: PathBuf,
    #[source]
    cause: std::io::Error,
}

impl AuditLog for AuditFile {
    fn write(&self, entry: &AuditEntry) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let written = self.open().and_then(|mut file| {
            // What a full disk left of an entry is a line of its own, and takes nothing of the next one's.
            if is_cut_short(&mut file)? {
                line.insert(0, b'\n');
            }
            file.write_all(&line)?;
            file.sync_data()
        });
        written.map_err(|cause| AuditFileError { path: self.path.clone(), cause }.into())
    }
}

/// Whether the last line has no end.
fn is_cut_short(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(connection: &str) -> AuditEntry {
        AuditEntry {
            time: jiff::Timestamp::UNIX_EPOCH,
            caller: "arn:aws:iam::123456789012:user/me".to_owned(),
            deployment: "d".to_owned(),
            service: "s".to_owned(),
            connection: connection.to_owned(),
            consumer: Some("fivetran".to_owned()),
            identity: "account:834469178297".to_owned(),
            decision: "accept".to_owned(),
            why: "because".to_owned(),
            preset: Some("fivetran 2026-11-01".to_owned()),
        }
    }

    #[test]
    fn appends_a_line_each_and_makes_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/audit.jsonl");
        let log = AuditFile::new(&path);
        log.write(&entry("vpce-1")).unwrap();
        log.write(&entry("vpce-2")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let read: Vec<AuditEntry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, [entry("vpce-1"), entry("vpce-2")]);
    }

    #[test]
    fn what_was_cut_short_takes_nothing_of_the_next_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        std::fs::write(&path, "{\"time\":\"1970").unwrap();
        let log = AuditFile::new(&path);
        log.write(&entry("vpce-1")).unwrap();
        log.write(&entry("vpce-2")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3, "{\"time\":\"1970"));
        assert_eq!(serde_json::from_str::<AuditEntry>(lines[1]).unwrap(), entry("vpce-1"));
    }

    /// A pipe that nobody reads would be waited for.
    #[cfg(target_os = "linux")]
    #[test]
    fn takes_nothing_but_a_regular_file() {
        for path in ["/dev/null", "/proc/self/fd"] {
            let error = AuditFile::new(path).write(&entry("vpce-1")).unwrap_err();
            assert_eq!(error.source().unwrap().to_string(), "it is not a regular file", "{path}");
        }
    }

    #[test]
    fn says_where_it_could_not_write() {
        let dir = tempfile::tempdir().unwrap();
        let error = AuditFile::new(dir.path()).write(&entry("vpce-1")).unwrap_err();
        assert!(error.to_string().contains(dir.path().to_str().unwrap()));
    }
}
