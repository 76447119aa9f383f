//! The environment of a command that must not leave this machine.

use std::process::{Command, ExitCode};

use crate::failure::Failure;

/// What leads HTTP clients elsewhere. The official Google client takes a proxy, and the domain of another Google cloud, from here
/// and offers no way to tell it not to.
const LEADS_AWAY: &[&str] = &[
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
];

/// Goes on in an environment that leads nowhere: this command again, without those variables. Returns where there are none, which
/// is also where the second one comes to.
///
/// # Errors
/// When the program cannot be started again.
pub(crate) fn shut_out() -> Result<Option<ExitCode>, Failure> {
    if LEADS_AWAY.iter().all(|name| std::env::var_os(name).is_none()) {
        return Ok(None);
    }
    let program = std::env::current_exe().map_err(|cause| cannot(&cause))?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1));
    for name in LEADS_AWAY {
        command.env_remove(name);
    }
    again(&mut command).map(Some)
}

/// In the place of this process, so that signals, terminal and exit status are its own.
#[cfg(unix)]
fn again(command: &mut Command) -> Result<ExitCode, Failure> {
    use std::os::unix::process::CommandExt as _;
    Err(cannot(&command.exec()))
}

#[cfg(not(unix))]
fn again(command: &mut Command) -> Result<ExitCode, Failure> {
    let status = command.status().map_err(|cause| cannot(&cause))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn cannot(cause: &std::io::Error) -> Failure {
    Failure::io("the command cannot be started without the proxies of the environment", cause)
        .hint("unset HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, and try again")
}
