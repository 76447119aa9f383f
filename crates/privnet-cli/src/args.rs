//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Give a SaaS vendor a private path to a database on AWS, Azure or GCP, from one file.
#[derive(Debug, Parser)]
#[command(name = "privnet", version, max_term_width = 100)]
#[command(after_help = "Try it without a cloud account: privnet --sandbox apply examples/aws.yaml")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The heading of what every command takes, so that a command's own options stand first in its help.
const GLOBAL: &str = "Global options";

/// What every command takes.
#[derive(Debug, ClapArgs)]
pub(crate) struct Global {
    /// Use the local cloud; no real one can be reached
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) sandbox: bool,
    /// The local cloud's folder [default: PRIVNET_SANDBOX_DIR, or the user's state directory]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// What results look like
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// When to use colour
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Where decisions on connections are written before they are carried out [default: audit.jsonl in
    /// the user's state directory, with --sandbox in the local cloud's folder]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub(crate) audit_log: Option<PathBuf>,
    /// Say more; twice for each request that is sent, three times also for what is sent again
    #[arg(short, long, global = true, help_heading = GLOBAL, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub(crate) quiet: bool,
}

/// What results look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs: one object; of watch, one a line
    Json,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Which files, and which services in them.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Which {
    /// The files [default: privnet.yaml here, or else the *.yaml here that begin a deployment]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Only these services
    #[arg(long = "service", value_name = "NAME", num_args = 1..)]
    pub(crate) services: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check files; no network
    Validate {
        #[command(flatten)]
        which: Which,
    },
    /// Show what apply would do
    Plan {
        #[command(flatten)]
        which: Which,
        /// Save the plan, for `apply --plan`
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Exit with 2 when there are changes, with 3 when a safety rule refuses some
        #[arg(long)]
        detailed_exitcode: bool,
        /// Delete services of the deployment that the file does not list
        #[arg(long)]
        prune: bool,
        /// Cut live consumers where the plan needs it
        #[arg(long)]
        sever_connections: bool,
    },
    /// Make the cloud agree with the file
    Apply {
        #[command(flatten)]
        which: Which,
        /// Carry out a saved plan; it is planned again and must be identical
        #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "services", "prune", "sever_connections"])]
        plan: Option<PathBuf>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Delete services of the deployment that the file does not list
        #[arg(long)]
        prune: bool,
        /// Cut live consumers where the plan needs it
        #[arg(long)]
        sever_connections: bool,
        /// How many things to work on at once
        #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
        parallelism: u16,
    },
    /// Show services, targets and connections, and what waits for whom
    Status {
        #[command(flatten)]
        which: Which,
    },
    /// Let in the vendor's pending connection, and nobody else's
    AcceptPending {
        #[command(flatten)]
        which: Which,
        /// Show the decisions; carry out none
        #[arg(long, conflicts_with = "watch")]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Go on until every consumer is connected
        #[arg(long)]
        watch: bool,
        /// With --watch: give up after this time (30s, 15m)
        #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration, requires = "watch")]
        timeout: Duration,
        /// Decide on this connection only: settles an ambiguous case. On GCP also one that was turned away
        #[arg(long, value_name = "ID")]
        connection: Option<String>,
        /// Turn pending strangers away (never on hosted or existing services)
        #[arg(long)]
        reject_others: bool,
    },
    /// Turn away a pending connection, or cut a live one
    Reject {
        #[command(flatten)]
        which: Which,
        /// The connection
        #[arg(long, value_name = "ID")]
        connection: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Cut it even though it is live
        #[arg(long)]
        sever_connections: bool,
    },
    /// Show what to send to the vendor
    Handoff {
        #[command(flatten)]
        which: Which,
        /// As text, or as the vendor's Terraform
        #[arg(long = "as", value_enum, default_value_t = HandoffForm::Text, value_name = "FORM")]
        form: HandoffForm,
    },
    /// Remove what the deployment owns
    Destroy {
        #[command(flatten)]
        which: Which,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Cut live consumers
        #[arg(long)]
        sever_connections: bool,
    },
    /// Follow names whose addresses moved, once
    SyncTargets {
        #[command(flatten)]
        which: Which,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Keep clouds in agreement with files: drift, moved addresses, pending requests
    ///
    /// Runs until SIGTERM or Ctrl-C, and looks at each deployment at least once an interval: what differs is mended as `apply` does
    /// it, pending requests are decided as `accept-pending --yes` decides. Never severs a live consumer, never prunes. Files are read
    /// again when they change; a bad edit is told, and the last good text is kept.
    Watch {
        #[command(flatten)]
        which: Which,
        /// The longest time from one look at a deployment to the next (10s to 24h)
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = interval)]
        interval: Duration,
        /// Only look: change nothing, decide nothing, tell what would be done
        #[arg(long)]
        observe: bool,
        /// Serve /metrics, /healthz and /readyz here, such as 127.0.0.1:9464; loopback only
        #[arg(long, value_name = "ADDRESS:PORT", value_parser = loopback)]
        listen: Option<SocketAddr>,
    },
    /// Print what machines would run; no network
    Render {
        #[command(subcommand)]
        command: RenderCommand,
    },
    /// The local cloud
    Sandbox {
        #[command(subcommand)]
        command: SandboxCommand,
    },
    /// Print the JSON Schema of the file, for editors
    Schema,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

impl Command {
    /// Its name on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Validate { .. } => "validate",
            Self::Plan { .. } => "plan",
            Self::Apply { .. } => "apply",
            Self::Status { .. } => "status",
            Self::AcceptPending { .. } => "accept-pending",
            Self::Reject { .. } => "reject",
            Self::Handoff { .. } => "handoff",
            Self::Destroy { .. } => "destroy",
            Self::SyncTargets { .. } => "sync-targets",
            Self::Watch { .. } => "watch",
            Self::Render { .. } => "render",
            Self::Sandbox { .. } => "sandbox",
            Self::Schema => "schema",
            Self::Completions { .. } => "completions",
            Self::Man => "man",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum RenderCommand {
    /// What the forwarder machines of services with `to: { forwarder: … }` would run
    Forwarder {
        #[command(flatten)]
        which: Which,
    },
}

/// What the vendor gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HandoffForm {
    /// Lines for a ticket
    Text,
    /// Fivetran's Terraform resource
    FivetranTf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    /// Serve the local cloud until Ctrl-C
    Serve {
        /// The first port; 0 takes free ones
        #[arg(long, value_name = "N", default_value_t = 0)]
        port: u16,
        /// Wait this long before each answer (40ms)
        #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
        latency: Duration,
        /// How many sandbox seconds pass in a real one [default: what the folder has, 20 for a new one]
        #[arg(long, value_name = "FACTOR", value_parser = speed, allow_negative_numbers = true)]
        speed: Option<f64>,
        /// Record each exchange, redacted, as a JSON line
        #[arg(long, value_name = "FILE")]
        record: Option<PathBuf>,
        /// A fault to inject, such as aws:CreateListener:1:lost; may be given several times
        #[arg(long = "fault", value_name = "SPEC")]
        faults: Vec<String>,
    },
    /// Show the local cloud's fixed ids and what is in it
    World,
    /// Put the local cloud back to its default world
    Reset,
    /// Raise a further connection request for a service
    Connect {
        /// The service: the cloud's id or name of it, or its name in the file (of a file here, where privnet did not make the service)
        service: String,
        /// Who asks [default: the vendor, as another of its customers]
        #[arg(long = "as", value_name = "CONSUMER")]
        consumer: Option<String>,
    },
    /// Set what a name answers in the local cloud's DNS; no address is an empty answer
    Dns {
        /// The name
        name: String,
        /// Its addresses
        addresses: Vec<IpAddr>,
    },
}

/// A time such as `300s`, `5m`, `40ms`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 =
        number.parse().map_err(|_| format!("`{text}` is not a time; write 300s, 5m or 40ms"))?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("`{text}` is not a time; write 300s, 5m or 40ms")),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(|| format!("`{text}` is too long"))
}

/// A time as it is written on the command line: what [`duration`] reads.
pub(crate) fn spelled(time: Duration) -> String {
    match (time.as_millis(), time.subsec_millis()) {
        (_, 0) => format!("{}s", time.as_secs()),
        (milliseconds, _) => format!("{milliseconds}ms"),
    }
}

/// The time between two looks of a watch.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    let bounds = Duration::from_secs(10)..=Duration::from_secs(24 * 3600);
    if bounds.contains(&interval) { Ok(interval) } else { Err("an interval is 10s to 24h".to_owned()) }
}

/// An address that only this machine reaches: metrics have no password.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err("only a loopback address: metrics have no password; put a proxy before it".to_owned()),
        Err(_) => Err(format!("`{text}` is not an address with a port; write 127.0.0.1:9464")),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed <= 100_000.0 => Ok(speed),
        _ => Err("a speed is a number above 0, at most 100000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn times_are_read() {
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("40ms"), Ok(Duration::from_millis(40)));
        for wrong in ["", "5", "m", "-1s", "1.5m", "5 m", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        for (written, again) in [("0s", "0s"), ("300ms", "300ms"), ("15m", "900s"), ("1500ms", "1500ms")] {
            assert_eq!(spelled(duration(written).unwrap()), again);
        }
    }

    #[test]
    fn a_watch_looks_neither_all_the_time_nor_never() {
        assert_eq!(interval("10s"), Ok(Duration::from_secs(10)));
        for wrong in ["9s", "25h", "0ms", "often"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn metrics_are_for_this_machine() {
        assert!(loopback("127.0.0.1:9464").is_ok() && loopback("[::1]:0").is_ok());
        for wrong in ["0.0.0.0:9464", "10.0.0.1:80", "[::]:80", "localhost:80", "9464"] {
            assert!(loopback(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn speeds_are_positive_numbers() {
        assert_eq!(speed("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "NaN", "inf", "fast"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
