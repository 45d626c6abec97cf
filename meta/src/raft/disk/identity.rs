//! The identity file: whose data directory this is.
//!
//! A few lines of text, written once and replaced by rename:
//!
//! ```text
//! format = 1
//! group = 00000000000000ab
//! member = 3
//! begun = yes
//! crc32 = 9f3a0c11
//! ```

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::OpenError;

/// The version of everything in the data directory.
const FORMAT: u64 = 1;

/// Its name in the data directory.
const FILE_NAME: &str = "identity";

/// Which member of which group a data directory belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The group's id.
    pub group: u64,
    /// The member's id.
    pub member: u64,
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) identity: Identity,
    /// The first write to the log has been made durable; from then on the log is never empty.
    pub(super) begun: bool,
}

impl Found {
    fn to_text(self) -> String {
        let Found { identity: Identity { group, member }, begun } = self;
        let begun = if begun { "yes" } else { "no" };
        let lines = format!(
            "format = {FORMAT}\ngroup = {group:016x}\nmember = {member}\nbegun = {begun}\n"
        );
        let crc32 = crc32fast::hash(lines.as_bytes());
        format!("{lines}crc32 = {crc32:08x}\n")
    }

    fn from_text(text: &str) -> Option<Result<Found, u64>> {
        let (lines, crc32) = text.split_at_checked(text.find("crc32 = ")?)?;
        let crc32 = crc32.strip_prefix("crc32 = ")?.strip_suffix('\n')?;
        if u32::from_str_radix(crc32, 16).ok()? != crc32fast::hash(lines.as_bytes()) {
            return None;
        }
        let value =
            |key: &str| lines.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        let format = value("format")?.parse().ok()?;
        if format != FORMAT {
            return Some(Err(format));
        }
        let group = u64::from_str_radix(value("group")?, 16).ok()?;
        let member = value("member")?.parse().ok()?;
        Some(Ok(Found { identity: Identity { group, member }, begun: value("begun")? == "yes" }))
    }
}

/// Reads the file; nothing where there is none.
pub(super) fn read(dir: &Path) -> Result<Option<Found>, OpenError> {
    let path = dir.join(FILE_NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io("read", &path, error)),
    };
    match Found::from_text(&text) {
        Some(Ok(found)) => Ok(Some(found)),
        Some(Err(format)) => {
            Err(OpenError::Format { dir: dir.to_owned(), found: format, known: FORMAT })
        }
        None => Err(OpenError::Damaged {
            path,
            what: "its checksum does not fit its content".to_owned(),
            advice: super::LOST_MEMBER,
        }),
    }
}

/// Writes the file, durably.
pub(super) fn write(dir: &Path, found: Found) -> Result<(), OpenError> {
    let path = dir.join(FILE_NAME);
    replace(dir, FILE_NAME, found.to_text().as_bytes())
        .map_err(|error| OpenError::io("write", &path, error))
}

/// Writes a file in full or not at all, durably: beside its place, then renamed into it.
pub(super) fn replace(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let beside = dir.join(format!("{name}.new"));
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: Found = Found { identity: Identity { group: 0xab, member: 3 }, begun: true };

    #[test]
    fn an_identity_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(read(dir.path()).expect("readable"), None);
        write(dir.path(), FOUND).expect("writable");
        assert_eq!(read(dir.path()).expect("readable"), Some(FOUND));
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let text = FOUND.to_text();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert_eq!(Found::from_text(&changed), None, "byte {at} changed");
        }
    }

    #[test]
    fn a_directory_of_another_format_says_which() {
        let lines = "format = 9\ngroup = 00000000000000ab\nmember = 3\nbegun = yes\n";
        let text = format!("{lines}crc32 = {:08x}\n", crc32fast::hash(lines.as_bytes()));
        assert_eq!(Found::from_text(&text), Some(Err(9)));
    }
}
