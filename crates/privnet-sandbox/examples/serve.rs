//! Serves a sandbox until Ctrl-C, as `privnet sandbox serve` does: for programs that embed the sandbox, and for tests.
//!
//! ```text
//! cargo run -p privnet-sandbox --example serve -- --dir DIR [--port N] [--latency MS] [--speed N] [--record FILE]
//!     [--fault SPEC]… [--lag MS] [--no-rate-limits] [--hold-requests]
//! ```
//!
//! Prints one `NAME=value` line for each variable that clients need, then `ready`.

use std::time::Duration;

use privnet_sandbox::{Options, Sandbox};

#[tokio::main]
#[allow(clippy::print_stdout, reason = "a program's standard output")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let running = Sandbox::serve(&options(std::env::args().skip(1))?).await?;
    for cloud in running.clouds() {
        println!("{}_URL={}", cloud.to_uppercase(), running.url(cloud).unwrap_or_default());
        for (name, value) in running.variables(cloud) {
            println!("{name}={value}");
        }
    }
    if let Some((url, pem)) = running.azure_https() {
        println!("AZURE_HTTPS_URL={url}\nAZURE_CA_PEM={}", pem.display());
    }
    println!("DNS={}\nready", running.dns());
    tokio::signal::ctrl_c().await?;
    running.shutdown().await;
    Ok(())
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join("privnet-sandbox");
    let mut options = Options { credentials: true, ..Options::new(dir) };
    while let Some(flag) = arguments.next() {
        match flag.as_str() {
            "--no-rate-limits" => {
                options.rate_limits = false;
                continue;
            }
            "--hold-requests" => {
                options.hold_requests = true;
                continue;
            }
            _ => {}
        }
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--dir" => options.dir = value.into(),
            "--port" => options.port = value.parse()?,
            "--latency" => options.latency = Duration::from_millis(value.parse()?),
            "--lag" => options.list_lag = Duration::from_millis(value.parse()?),
            "--speed" => options.speed = Some(value.parse()?),
            "--record" => options.record = Some(value.into()),
            "--fault" => options.faults.push(value),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(options)
}
