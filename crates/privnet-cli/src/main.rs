//! The command `privnet`.
//!
//! | module | is |
//! |---|---|
//! | `args` | the command line |
//! | `files` | which files, and what they say |
//! | `commands` | one module for each command: a thin shell over the library's session |
//! | `render` | pure functions from data to text |
//! | `world` | what a command needs of the process: clouds, terminal, interruption, audit log |
//! | `failure`, `exit` | errors with hints, and exit statuses |

mod args;
mod commands;
mod exit;
mod failure;
mod files;
mod output;
mod progress;
mod render;
mod world;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;
use crate::failure::Failure;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    // One TLS stack for all clouds. It fails only when another is installed, and nothing else installs one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let output = output::Output::new(args.global.output, args.global.color);
    match commands::run(args, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

/// clap's own status for bad usage is 2, which here means "there are changes".
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return exit::Exit::Done.into();
    }
    let json =
        std::env::args_os().zip(std::env::args_os().skip(1)).any(|(a, b)| a == "--output" && b == "json")
            || std::env::args_os().any(|arg| arg == "--output=json");
    if json {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        output::Output::new(args::Format::Json, args::Color::Never).failure(&Failure::usage(message));
    } else {
        let _ = error.print();
    }
    exit::Exit::Usage.into()
}
