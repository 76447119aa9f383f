//! The benchmark: figures and ratios, measured in one run; nothing is asserted about time.
//!
//! ```text
//! cargo run --release -p privnet-integration-tests --bin bench
//! ```
//!
//! | part | what |
//! |---|---|
//! | `start` | how long the command takes for `--help` and for `validate`, as whole processes |
//! | `plan` | decode and plan of many services: CPU time and peak memory, each in a process of its own |
//! | `fresh` | a fresh apply on the local cloud with 50 ms on each request, against its chain and against a plain boto3 script |
//! | `azure` | a fresh apply on Azure, against its chain and what it provisions |
//! | `gcp` | a fresh apply on GCP, against its chain and its operations |
//! | `empty` | an empty plan of 200 services in one account, against the documented request rates |

#![allow(clippy::print_stdout, reason = "a program's output")]

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use privnet::PlanOptions;
use privnet_integration_tests::aws_chain::{self, CHAIN};
use privnet_integration_tests::azure_bench;
use privnet_integration_tests::census::{here, python};
use privnet_integration_tests::command::program;
use privnet_integration_tests::gcp_bench;
use privnet_integration_tests::plan_bench::{self, Case, file};
use privnet_integration_tests::proxy::{Exchange, Proxy, is_read};
use privnet_integration_tests::stage::{Fail, Stage, spec};

#[tokio::main]
async fn main() -> Result<(), Fail> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("decode-and-plan"), Some(services)) => {
            let word = arguments.next();
            // Without a word: all of them, one after the other.
            match Case::ALL.into_iter().find(|case| word.as_deref() == Some(case.word())) {
                Some(case) => print!("{}", plan_bench::decode_and_plan(services.parse()?, case)?),
                None => each_case(services.parse()?)?,
            }
            Ok(())
        }
        (Some("start"), _) => start(),
        (Some("plan"), _) => in_processes_of_their_own(),
        (Some("fresh"), _) => fresh().await,
        (Some("empty"), _) => empty().await,
        (Some("azure"), _) => on_azure().await,
        (Some("gcp"), _) => on_gcp().await,
        _ => {
            start()?;
            in_processes_of_their_own()?;
            fresh().await?;
            empty().await?;
            on_azure().await?;
            on_gcp().await
        }
    }
}

async fn on_azure() -> Result<(), Fail> {
    print!("{}", azure_bench::fresh().await?);
    Ok(())
}

async fn on_gcp() -> Result<(), Fail> {
    print!("{}", gcp_bench::fresh().await?);
    Ok(())
}

/// Starts the command often, and says how long it took from start to end.
fn start() -> Result<(), Fail> {
    const TIMES: usize = 30;
    println!("the command as a whole process, {TIMES} times");
    let program = same_profile()?;
    let example = here().join("../examples/aws.yaml");
    let lines = [vec!["--help".into()], vec!["validate".into(), example.into_os_string()]];
    for line in lines {
        let mut took = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let begun = Instant::now();
            let ran = Command::new(&program).args(&line).output()?;
            took.push(begun.elapsed());
            if !ran.status.success() {
                return Err(format!("{line:?}: {}", String::from_utf8_lossy(&ran.stderr)).into());
            }
        }
        took.sort_unstable();
        println!(
            "  {}: {:.1} ms in the middle, {:.1} ms at most (aim: 20 ms)",
            line[0].to_string_lossy(),
            took[TIMES / 2].as_secs_f64() * 1e3,
            took[TIMES - 1].as_secs_f64() * 1e3
        );
    }
    Ok(())
}

/// The command, built as this program was.
fn same_profile() -> Result<PathBuf, Fail> {
    if cfg!(debug_assertions) {
        return Ok(program("privnet"));
    }
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--locked", "--release"]).current_dir(here().join(".."));
    if !build.status()?.success() {
        return Err("cargo build --release failed".into());
    }
    Ok(std::env::current_exe()?.with_file_name("privnet"))
}

fn in_processes_of_their_own() -> Result<(), Fail> {
    const TIMES: usize = 3;
    println!("decode and plan, {TIMES} times each");
    for (services, cpu, memory) in [(1_000, 0.1, 64), (10_000, 1.0, 256)] {
        for _ in 0..TIMES {
            println!("  {services} services (aim: {cpu} s of CPU, {memory} MB)");
            each_case(services)?;
        }
    }
    Ok(())
}

/// Runs each case of planning in a process of its own.
fn each_case(services: usize) -> Result<(), Fail> {
    for case in Case::ALL {
        let mut one = Command::new(std::env::current_exe()?);
        let ran = one.args(["decode-and-plan", &services.to_string(), case.word()]).output()?;
        if !ran.status.success() {
            return Err(String::from_utf8_lossy(&ran.stderr).into());
        }
        print!("{}", String::from_utf8_lossy(&ran.stdout));
    }
    Ok(())
}

const LATENCY: Duration = Duration::from_millis(50);
/// Sandbox seconds in a real one: fast enough to measure often, slow enough that 50 ms are felt.
const SPEED: f64 = 20.0;

async fn fresh() -> Result<(), Fail> {
    println!("fresh apply, {} ms on each request, time at {SPEED} times", LATENCY.as_millis());
    let stage = Stage::open_with(None, |options| {
        options.latency = LATENCY;
        options.speed = Some(SPEED);
    })
    .await?;
    let proxy = Proxy::start(&stage.url("aws"), Vec::new()).await?;
    let session = stage.session(spec(&file(1))?, &proxy.url())?;
    let started = Instant::now();
    let done = session.apply(PlanOptions::default()).await;
    let ours = started.elapsed().as_secs_f64();
    if let Some(error) = done.report.failures().next() {
        return Err(error.to_string().into());
    }
    let chain = LATENCY.as_secs_f64() * f64::from(u32::try_from(CHAIN.len())?);
    let actions = proxy.actions();
    println!(
        "  {ours:.2} s, {} requests, {} of them reads",
        actions.len(),
        actions.iter().filter(|a| is_read(a)).count()
    );
    aws_chain::check(&proxy.exchanges())?;
    println!(
        "  the chain, as the record has it: {} rounds (aim: at most 8), {chain:.2} s: {}",
        CHAIN.len(),
        aws_chain::described()
    );
    let provisioning = waits(&proxy.exchanges()).ok_or("a request of the chain was not seen")?;
    println!(
        "  chain and provisioning: {:.2} s; privnet takes {:.3} of that (aim: at most 1.10)",
        chain + provisioning,
        ours / (chain + provisioning)
    );

    for services in [1, SEVERAL] {
        beside_a_script(services).await?;
    }
    Ok(())
}

/// How many services both make where it is several.
const SEVERAL: usize = 5;

/// The same work twice, each on a local cloud of its own: by privnet, and by a plain boto3 script, one service after another.
async fn beside_a_script(services: usize) -> Result<(), Fail> {
    let open = || {
        Stage::open_with(None, |options| {
            options.latency = LATENCY;
            options.speed = Some(SPEED);
        })
    };
    let stage = open().await?;
    let session = stage.session(spec(&file(services))?, &stage.url("aws"))?;
    let started = Instant::now();
    let done = session.apply(PlanOptions::default()).await;
    let ours = started.elapsed().as_secs_f64();
    if let Some(error) = done.report.failures().next() {
        return Err(error.to_string().into());
    }
    let other = open().await?;
    let url = other.url("aws");
    let theirs = tokio::task::spawn_blocking(move || boto3_script(&url, services)).await??;
    println!(
        "  {services} service(s): privnet {ours:.2} s, a plain boto3 script with its waiters {theirs:.2} s; privnet takes {:.2} of that",
        ours / theirs
    );
    Ok(())
}

/// How long the local cloud provisions by its own description (crates/privnet-sandbox/README.md), in its seconds: a load balancer; one
/// whose groups were changed; an endpoint service.
const PROVISIONING: (f64, f64, f64) = (120.0, 20.0, 10.0);

/// Says how soon the next request followed each thing's readiness, and gives the seconds of provisioning that the chain waited for.
fn waits(exchanges: &[Exchange]) -> Option<f64> {
    let real = |sandbox: f64| sandbox / SPEED;
    let all = |action: &'static str| exchanges.iter().filter(move |exchange| exchange.action == action);
    let ended = |action| all(action).map(|e| e.ended.as_secs_f64()).reduce(f64::max);
    let began = |action| all(action).map(|e| e.began.as_secs_f64()).reduce(f64::min);
    let (made, changed, exposed) = PROVISIONING;
    let created = ended("CreateLoadBalancer")?;
    let again = ended("SetSecurityGroups").map_or(created, |at| at + real(changed));
    let balancer = (created + real(made)).max(again);
    let service = ended("CreateVpcEndpointServiceConfiguration")?;
    for (what, took, ready, next) in [
        ("load balancer", balancer - created, balancer, began("CreateListener")?),
        (
            "endpoint service",
            real(exposed),
            service + real(exposed),
            began("ModifyVpcEndpointServicePermissions")?,
        ),
    ] {
        println!(
            "  after the {what} the next request comes {:.1} s later, in the cloud's time (aim: {:.1} s)",
            (next - ready) * SPEED,
            f64::max(2.0, took * SPEED / 10.0)
        );
    }
    Some(balancer - created + real(exposed))
}

/// The same work by a plain script.
fn boto3_script(url: &str, services: usize) -> Result<f64, Fail> {
    let ran = Command::new(python()?)
        .arg(here().join("aws/plain_script.py"))
        .args([url, &SPEED.to_string(), &services.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&ran.stdout);
    said.trim()
        .parse()
        .map_err(|_| format!("the script said {said}{}", String::from_utf8_lossy(&ran.stderr)).into())
}

async fn empty() -> Result<(), Fail> {
    const SERVICES: usize = 200;
    println!("empty plan of {SERVICES} services in one account, request rates as documented");
    let prepared = Stage::open_with(None, |options| options.speed = Some(2_000.0)).await?;
    let done =
        prepared.session(spec(&file(SERVICES))?, &prepared.url("aws"))?.apply(PlanOptions::default()).await;
    if let Some(error) = done.report.failures().next() {
        return Err(error.to_string().into());
    }
    let stage = Stage::open_with(Some(prepared.folder()), |options| {
        options.latency = LATENCY;
        options.speed = Some(1.0);
        options.rate_limits = true;
        options.record = Some(options.dir.join("record.jsonl"));
    })
    .await?;
    let proxy = Proxy::start(&stage.url("aws"), Vec::new()).await?;
    let session = stage.session(spec(&file(SERVICES))?, &proxy.url())?;
    let started = Instant::now();
    let planned = session.plan(PlanOptions::default()).await;
    let took = started.elapsed().as_secs_f64();
    let mut counts = std::collections::BTreeMap::new();
    for action in proxy.actions() {
        *counts.entry(action).or_insert(0_usize) += 1;
    }
    let total: usize = counts.values().sum();
    println!(
        "  {} actions; {took:.2} s, {total} requests, {:.2} for each service",
        planned.plan.actions.len(),
        total as f64 / SERVICES as f64
    );
    let allowed = by_the_buckets(&counts);
    println!(
        "  the documented rates allow {allowed:.2} s; privnet takes {:.3} of that (aim: at most 1.1)",
        took / allowed
    );
    let throttled = throttled(&std::fs::read_to_string(stage.folder().join("record.jsonl"))?)?;
    println!("  {throttled} answers of {total} said that there were too many requests (aim: none)");
    for (action, count) in counts.iter().filter(|(_, count)| **count > 1) {
        println!("    {count:5} {action}");
    }
    Ok(())
}

/// How many answers of a record say that there were too many requests, in the words of EC2 or of the other Query services.
fn throttled(record: &str) -> Result<usize, Fail> {
    let mut found = 0;
    for line in record.lines() {
        let exchange: serde_json::Value = serde_json::from_str(line)?;
        let answer = exchange["response"].as_str().unwrap_or_default();
        let said = ["<Code>RequestLimitExceeded</Code>", "<Code>Throttling</Code>"];
        found += usize::from(said.iter().any(|code| answer.contains(code)));
    }
    Ok(found)
}

/// The shortest time in which the documented rates let so many reads through: Elastic Load Balancing has one bucket for all reads, EC2
/// one for each action
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html>,
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>).
fn by_the_buckets(counts: &std::collections::BTreeMap<String, usize>) -> f64 {
    const BALANCING: [&str; 5] = [
        "DescribeLoadBalancer",
        "DescribeListener",
        "DescribeTargetGroup",
        "DescribeTargetHealth",
        "DescribeTags",
    ];
    let balancing = |action: &str| BALANCING.iter().any(|begin| action.starts_with(begin));
    let seconds = |count: usize, size: f64, rate: f64| ((count as f64 - size) / rate).max(0.0);
    let shared: usize = counts.iter().filter(|(action, _)| balancing(action)).map(|(_, count)| count).sum();
    let alone = counts.iter().filter(|(action, _)| !balancing(action));
    alone.map(|(_, count)| seconds(*count, 100.0, 20.0)).fold(seconds(shared, 40.0, 10.0), f64::max)
}
