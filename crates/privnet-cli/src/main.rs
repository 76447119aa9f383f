//! The command `privnet`.
//!
//! | module | is |
//! |---|---|
//! | `args` | the command line |
//! | `files` | which files, and what they say |
//! | `commands` | one module for each command: a thin shell over the library's session |
//! | `render` | pure functions from data to text |
//! | `lines` | output that is written by a thread of its own |
//! | `errors` | standard error, written at once or by such a thread; logs |
//! | `monitor` | what `watch` shows to monitoring: metrics and probes |
//! | `world` | what a command needs of the process: clouds, terminal, interruption, audit log |
//! | `surroundings` | the environment of a command that must not leave this machine |
//! | `failure`, `exit` | errors with hints, and exit statuses |

mod args;
mod commands;
mod errors;
mod exit;
mod failure;
mod files;
mod lines;
mod monitor;
mod output;
mod progress;
mod render;
mod surroundings;
mod world;

use std::process::ExitCode;

use clap::Parser as _;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};

use crate::args::Args;
use crate::failure::Failure;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&without_escapes(error)),
    };
    // One TLS stack for all clouds. It fails only when another is installed, and nothing else installs one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let output = output::Output::new(args.global.output, args.global.color);
    let shut_out = if args.global.sandbox { surroundings::shut_out() } else { Ok(None) };
    let done = shut_out.and_then(|ended| match ended {
        Some(ended) => Ok(ended),
        None => commands::run(args, &output).map(ExitCode::from),
    });
    let ended = done.unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit.into()
    });
    end(ended, output)
}

/// A result that could not be written is no success, however the command ended.
fn end(ended: ExitCode, output: output::Output) -> ExitCode {
    match output::written() {
        Ok(()) => ended,
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

/// clap's own status for bad usage is 2, which here means "there are changes".
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        if let Err(cause) = error.print() {
            output::note_unwritten(cause);
        }
        return end(exit::Exit::Done.into(), output::Output::new(args::Format::Text, args::Color::Auto));
    }
    let json =
        std::env::args_os().zip(std::env::args_os().skip(1)).any(|(a, b)| a == "--output" && b == "json")
            || std::env::args_os().any(|arg| arg == "--output=json");
    if json {
        output::Output::new(args::Format::Json, args::Color::Never)
            .failure(&usage_failure(&error.to_string()));
    } else {
        let _ = error.print();
    }
    exit::Exit::Usage.into()
}

/// clap tells of each unknown option and word how it would be taken for a value. No value here looks like one: whoever follows the
/// tip names a file of that name.
fn without_escapes(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::StyledStrs(tips)) = error.remove(ContextKind::Suggested) {
        let is_escape = |tip: &StyledStr| tip.to_string().contains(" as a value, use ");
        let others: Vec<StyledStr> = tips.into_iter().filter(|tip| !is_escape(tip)).collect();
        if !others.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(others));
        }
    }
    error
}

/// clap's text, taken apart: the message with what belongs to it, and its tips. Without a command clap gives the whole help.
fn usage_failure(text: &str) -> Failure {
    let Some(text) = text.strip_prefix("error: ") else {
        return Failure::usage("a command is missing").hint("`privnet --help` lists the commands");
    };
    let message: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let tips = text.lines().filter_map(|line| line.trim_start().strip_prefix("tip: "));
    tips.fold(Failure::usage(message.join(" ")), |failure, tip| failure.hint(tip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_taken_apart() {
        let failure = usage_failure(
            "error: these were not provided:\n  --connection <ID>\n\n  tip: see it\n\nUsage: x\n",
        );
        assert_eq!(failure.message, "these were not provided: --connection <ID>");
        assert_eq!(failure.hints, ["see it"]);
        assert_eq!(usage_failure("The help").message, "a command is missing");
    }
}
