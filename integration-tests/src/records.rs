//! Where what tests and local clouds say to each other is kept: in the folder that `PRIVNET_RECORDS` names, whose records are held to
//! the clouds' own descriptions after the tests. Without it nothing is kept but what a test records for itself.

use std::path::{Path, PathBuf};

use privnet_sandbox::Options;

use crate::stage::Fail;

/// The record of the local cloud that is in this folder, or in one within it.
#[must_use]
pub fn record_of(folder: &Path) -> Option<PathBuf> {
    let mut name = folder.file_name()?.to_owned();
    name.push(".jsonl");
    let records = std::env::var_os("PRIVNET_RECORDS").filter(|records| !records.is_empty())?;
    Some(PathBuf::from(records).join(name))
}

/// Has a local cloud recorded. A test that reads a record of its own reads the one that is kept.
///
/// # Errors
/// When the test's own cannot be led there.
pub fn keep(options: &mut Options) -> Result<(), Fail> {
    let Some(kept) = record_of(&options.dir) else { return Ok(()) };
    match &options.record {
        None => options.record = Some(kept),
        // Several local clouds may have one record: the first of them led it there.
        Some(own) if own.exists() => {}
        Some(own) => {
            std::fs::File::create(&kept)?;
            std::os::unix::fs::symlink(kept, own)?;
        }
    }
    Ok(())
}
