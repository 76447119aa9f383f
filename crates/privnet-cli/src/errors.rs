//! Standard error as commands write logs, progress and remarks to it.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::args::Global;
use crate::lines::Lines;
use crate::output::Output;
use crate::render::Paint;

/// How standard error is written.
#[derive(Clone, Debug)]
pub(crate) enum Errors {
    /// At once: whoever runs a command and does not read what it says waits for himself.
    Straight,
    /// By a thread of its own: a log collector that hangs holds up no deployment of a watch.
    Queued(Arc<Lines>),
}

impl Errors {
    /// For a command that goes on for days.
    pub(crate) fn queued() -> Self {
        let write = |bytes: &[u8]| {
            let _ = io::stderr().lock().write_all(bytes);
        };
        let lost = |count| format!("{count} lines were lost here: nobody read in time\n").into_bytes();
        Self::Queued(Arc::new(Lines::new(write, lost)))
    }

    /// Writes a remark.
    pub(crate) fn remark(&self, text: &str) {
        let _ = self.clone().write_all(format!("{text}\n").as_bytes());
    }

    /// Waits until all is written; not longer than `patience`.
    pub(crate) fn end(&self, patience: Duration) {
        if let Self::Queued(lines) = self {
            lines.end(Vec::new(), patience);
        }
    }

    /// Logs of the libraries, for `-vv` a line for each request: never headers or bodies. Programs get objects, people text.
    pub(crate) fn log(&self, global: &Global, output: Output) {
        let level = match global.verbose {
            0 | 1 => return,
            2 => "debug",
            _ => "trace",
        };
        let own = ["privnet", "privnet_core", "privnet_aws", "privnet_azure", "privnet_gcp"];
        let own: String = own.iter().map(|name| format!(",{name}={level}")).collect();
        // What a credential process writes is in the SDK's warnings, and may be a secret. That it failed is in our own error.
        let filter = tracing_subscriber::EnvFilter::new(format!("warn,aws_config=off{own}"));
        let colour = output.paint_err() == Paint::Colour;
        let log =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(self.clone()).with_ansi(colour);
        let _ = if output.is_json() { log.json().try_init() } else { log.try_init() };
    }
}

/// Whoever writes gives a whole message at once; so does the log.
impl Write for Errors {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Straight => io::stderr().lock().write_all(bytes)?,
            Self::Queued(lines) => {
                lines.put(bytes.to_vec());
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Errors {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
