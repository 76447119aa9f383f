//! The command `privnet` as a process, with nothing of this machine's environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::records::record_of;

/// The program `privnet`; see [`program`].
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| program("privnet"))
}

/// A program of this workspace: from the folder that `PRIVNET_PROGRAMS` names, where somebody has built everything already, or else built
/// by cargo now. With the whole workspace's features, and those that its tests add, for which an example is built besides: otherwise the
/// clients of the clouds would be built a second time, with fewer.
///
/// # Panics
/// When it is not there, or cannot be built: then nothing can be tested.
#[must_use]
#[allow(clippy::panic, reason = "test machinery")]
pub fn program(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("PRIVNET_PROGRAMS") {
        let program = PathBuf::from(folder).join(name);
        assert!(program.exists(), "{} is not there: build it first", program.display());
        return program;
    }
    // Under `cargo test` the cargo that runs it; otherwise the one that the pinned toolchain gives.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--workspace", "--bin", name, "--example", "serve"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output();
    let found = built.ok().filter(|built| built.status.success()).and_then(|built| {
        let lines = String::from_utf8_lossy(&built.stdout).into_owned();
        let messages = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
        programs.find(|program| program.file_stem().is_some_and(|stem| stem == name))
    });
    found.unwrap_or_else(|| panic!("cargo build --bin {name} failed"))
}

/// The command in a folder, which is its home too. What it and a local cloud of its own say to each other is recorded.
#[must_use]
pub fn privnet(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("PRIVNET_SANDBOX_DIR", folder.join("sandbox"))
        // Each client reads all roots that it trusts when it is made, and Google's package makes one for each sort of resource: without
        // optimization that takes most of a command's time. Nothing here speaks TLS to anybody whom a machine's own roots would vouch for.
        .env("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/roots/nobody.pem"))
        .env("SSL_CERT_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/roots"))
        // The EC2 metadata address is not on loopback: tests never ask it.
        .env("AWS_EC2_METADATA_DISABLED", "true");
    if let Some(record) = record_of(folder) {
        command.env("PRIVNET_SANDBOX_RECORD", record);
    }
    command
}
