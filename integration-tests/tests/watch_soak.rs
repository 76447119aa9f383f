//! A watch under random faults on three clouds, for as many rounds as asked for: it ends converged, and no larger than it was.
//!
//! `PRIVNET_SOAK_ROUNDS` is how many rounds (2000 unless told), `PRIVNET_SOAK_SEED` gives another course. The watch is a process of its own,
//! so that its memory is measured and not the local cloud's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use privnet::watch::{RoundOutcome, Watch, WatchEvent, WatchOptions};
use privnet::{AuditFile, Clouds, PlanOptions, Report, SandboxEndpoints, SessionBuilder};
use privnet_integration_tests::query::{Api, element, query, rest};
use privnet_integration_tests::stage::{Fail, SPEED, Stage, spec};
use privnet_sandbox::Sandbox;
use privnet_sandbox::dns::Behaviour;
use privnet_sandbox::frame::Fault;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const NAME: &str = "orders.db.example";
const ADDRESSES: [&str; 4] = ["10.0.0.25", "10.0.1.26", "10.0.0.27", "10.0.1.28"];
const CLOUDS: [&str; 3] = ["aws", "azure", "gcp"];
const MODES: [&str; 5] = ["fail", "lost", "reset", "throttle", "stale"];
/// What each cloud says when it is busy or out of order (EC2 "Error codes", Azure Resource Manager "Resolve errors", Compute Engine "Errors").
const CODES: [[&str; 2]; 3] = [
    ["code=RequestLimitExceeded", "code=InternalError"],
    ["code=AnotherOperationInProgress", "code=InternalServerError"],
    ["code=rateLimitExceeded", "code=backendError"],
];
/// The end may be this much larger than a tenth of the run.
const GROWTH: f64 = 1.1;
/// What happens by chance is the same in every run, unless another seed is given.
const SEED: u64 = 0x5eed;

/// A deployment: its name, its cloud, and what its service has there.
struct Watched {
    name: &'static str,
    cloud: &'static str,
    body: &'static str,
}

/// One follows a name, the others have machines and addresses.
const WATCHED: [Watched; 4] = [
    Watched { name: "orders", cloud: "aws", body: "{ dns: orders.db.example }" },
    Watched { name: "billing", cloud: "aws", body: "{ ips: [10.0.0.40] }" },
    Watched { name: "erp", cloud: "azure", body: "{ nics: [db-1-nic] }" },
    Watched { name: "events", cloud: "gcp", body: "{ instances: [zones/us-east4-b/instances/db-1] }" },
];

impl Watched {
    fn text(&self, tag: u64) -> String {
        let (name, to) = (self.name, self.body);
        let place = match self.cloud {
            "aws" => {
                "account: '123456789012'
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]"
            }
            "azure" => {
                "subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      nat_subnet: { existing: nat }
      join_nics: true"
            }
            _ => {
                "project: acme-data
      region: us-east4
      network: prod
      subnet: ilb
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]"
            }
        };
        format!(
            "version: 1
deployment: {name}
tags: {{ soak: n{tag} }}
consumers:
  fivetran:
    preset: fivetran
    azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }}
services:
  - name: {name}
    allow: {{ fivetran: {{}} }}
    {cloud}:
      {place}
      ports: [{{ listen: 5432, engine: postgres, to: {to} }}]
",
            cloud = self.cloud,
        )
    }
}

/// SplitMix64: the same numbers for the same seed, on every machine (<https://prng.di.unimi.it/splitmix64.c>).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// The process that watches, and what it says.
struct Watcher {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watcher {
    fn start(stage: &Stage, folder: &Path) -> Result<Self, Fail> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--ignored", "--exact", "--nocapture", "the_process_that_is_measured"])
            .env("PRIVNET_SOAK_CHILD", folder)
            .env("PRIVNET_SOAK_AWS", stage.url("aws"))
            .env("PRIVNET_SOAK_AZURE", stage.url("azure"))
            .env("PRIVNET_SOAK_GCP", stage.url("gcp"))
            .env("PRIVNET_SOAK_DNS", stage.running().dns().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        Ok(Self { child, lines })
    }

    /// The next round: its deployment and outcome.
    fn round(&mut self) -> Result<(String, String), Fail> {
        loop {
            let line = self.lines.next().ok_or("the watch ended")??;
            // The test harness writes the test's name before its output.
            if let Some((_, round)) = line.split_once("round ") {
                let (deployment, outcome) = round.split_once(' ').ok_or("not a round")?;
                return Ok((deployment.to_owned(), outcome.to_owned()));
            }
        }
    }

    /// Resident memory, in KiB.
    fn memory(&self) -> Result<f64, Fail> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What goes wrong and what changes between two rounds.
struct World<'a> {
    stage: &'a Stage,
    folder: PathBuf,
    dice: Dice,
    done: BTreeMap<&'static str, usize>,
    asked: usize,
}

impl World<'_> {
    fn happens(&mut self) -> Result<(), Fail> {
        self.faults()?;
        let what = match self.dice.roll(60) {
            0..4 => self.name_moves()?,
            4..6 => self.target_goes()?,
            6 => self.rule_goes()?,
            7..9 => self.tag_changes(),
            9..11 => self.check_changes(),
            11 => self.file_changes()?,
            12 => self.file_is_bad()?,
            13 if self.asked < 8 => self.somebody_asks(),
            _ => "calm",
        };
        *self.done.entry(what).or_default() += 1;
        Ok(())
    }

    /// Up to two of a cloud's next calls fail, each in its way; now and then all of a cloud, or of all, do until the next round is over.
    fn faults(&mut self) -> Result<(), Fail> {
        self.stage.running().faults().clear();
        if self.dice.roll(25) == 0 {
            let cloud = ["aws", "azure", "gcp", "*"][self.dice.roll(4) as usize];
            let mode = MODES[self.dice.roll(3) as usize];
            self.fault(cloud, "outage", "*", mode)?;
        }
        for _ in 0..self.dice.roll(3) {
            let cloud = self.dice.roll(3) as usize;
            let mode = match self.dice.roll(7) {
                code @ 0..2 => CODES[cloud][code as usize],
                mode => MODES[mode as usize - 2],
            };
            let call = (1 + self.dice.roll(12)).to_string();
            self.fault(CLOUDS[cloud], "fault", &call, mode)?;
        }
        Ok(())
    }

    fn fault(&mut self, cloud: &'static str, what: &'static str, call: &str, mode: &str) -> Result<(), Fail> {
        let fault: Fault = format!("{cloud}:*:{call}:{mode}").parse()?;
        self.stage.running().faults().add(fault);
        *self.done.entry(what).or_default() += 1;
        *self.done.entry(cloud).or_default() += 1;
        Ok(())
    }

    fn name_moves(&mut self) -> Result<&'static str, Fail> {
        let address = ADDRESSES[self.dice.roll(4) as usize];
        let names = Sandbox::open(self.stage.folder())?.names()?;
        names.set(NAME, &[address.parse()?])?;
        let behaviour = if self.dice.roll(6) == 0 { Behaviour::Fail } else { Behaviour::All };
        names.set_behaviour(NAME, behaviour)?;
        Ok("name moves")
    }

    /// Whatever is registered somewhere is deregistered by somebody.
    fn target_goes(&mut self) -> Result<&'static str, Fail> {
        let url = self.stage.url("aws");
        let Ok(groups) = query(&url, Api::Elb, "DescribeTargetGroups", &[]) else { return Ok("calm") };
        let own = groups.split("<member>").filter(|group| group.contains("<TargetGroupName>pn-billing"));
        for arn in own.filter_map(|group| element(group, "", "TargetGroupArn")) {
            let target = [
                ("TargetGroupArn", arn),
                ("Targets.member.1.Id", "10.0.0.40"),
                ("Targets.member.1.Port", "5432"),
            ];
            let _ = query(&url, Api::Elb, "DeregisterTargets", &target);
        }
        Ok("target goes")
    }

    /// A listener is deleted by somebody.
    fn rule_goes(&mut self) -> Result<&'static str, Fail> {
        let url = self.stage.url("aws");
        let Ok(balancers) = query(&url, Api::Elb, "DescribeLoadBalancers", &[]) else { return Ok("calm") };
        let own = balancers.split("<member>").find(|one| one.contains("/pn-orders"));
        if let Some(arn) = own.and_then(|one| element(one, "", "LoadBalancerArn"))
            && let Ok(listeners) = query(&url, Api::Elb, "DescribeListeners", &[("LoadBalancerArn", arn)])
            && let Some(listener) = element(&listeners, "", "ListenerArn")
        {
            let _ = query(&url, Api::Elb, "DeleteListener", &[("ListenerArn", listener)]);
            return Ok("listener goes");
        }
        Ok("calm")
    }

    /// Somebody writes another word into a tag of the load balancer in Azure.
    fn tag_changes(&self) -> &'static str {
        let url = self.stage.url("azure");
        let all = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Network/loadBalancers";
        let version = "api-version=2024-05-01";
        let Ok(listed) = rest(&url, "GET", &format!("{all}?{version}"), None) else { return "calm" };
        let balancers = listed["value"].as_array().into_iter().flatten();
        for balancer in
            balancers.filter(|one| one["name"].as_str().is_some_and(|name| name.starts_with("pn-erp")))
        {
            // The tags are replaced whole.
            let mut tags = balancer["tags"].clone();
            tags["soak"] = "somebody".into();
            let path = format!("{}?{version}", balancer["id"].as_str().unwrap_or_default());
            if rest(&url, "PATCH", &path, Some(&json!({ "tags": tags }))).is_ok() {
                return "tag changes";
            }
        }
        "calm"
    }

    /// Somebody lets the health check in GCP ask less often.
    fn check_changes(&self) -> &'static str {
        let url = self.stage.url("gcp");
        let all = "/compute/v1/projects/acme-data/regions/us-east4/healthChecks";
        let Ok(listed) = rest(&url, "GET", all, None) else { return "calm" };
        let names = listed["items"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
        for name in names.filter(|name| name.starts_with("pn-events")) {
            if rest(&url, "PATCH", &format!("{all}/{name}"), Some(&json!({ "checkIntervalSec": 27 }))).is_ok()
            {
                return "check changes";
            }
        }
        "calm"
    }

    fn file_changes(&mut self) -> Result<&'static str, Fail> {
        let watched = &WATCHED[self.dice.roll(4) as usize];
        self.write(watched.name, &watched.text(self.dice.0 % 1000))?;
        Ok("file changes")
    }

    fn file_is_bad(&mut self) -> Result<&'static str, Fail> {
        let watched = &WATCHED[self.dice.roll(4) as usize];
        self.write(watched.name, "version: 2\n")?;
        Ok("bad edit")
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Fail> {
        Ok(std::fs::write(self.folder.join(format!("{name}.yaml")), text)?)
    }

    fn somebody_asks(&mut self) -> &'static str {
        let Ok(sandbox) = Sandbox::open(self.stage.folder()) else { return "calm" };
        let service = WATCHED[self.asked % WATCHED.len()].name;
        if sandbox.connect(service, None).is_err() {
            return "calm";
        }
        self.asked += 1;
        "request"
    }

    /// From now on nothing goes wrong any more.
    fn peace(&self) -> Result<(), Fail> {
        self.stage.running().faults().clear();
        let names = Sandbox::open(self.stage.folder())?.names()?;
        names.set(NAME, &[ADDRESSES[0].parse()?])?;
        names.set_behaviour(NAME, Behaviour::All)?;
        for watched in &WATCHED {
            self.write(watched.name, &watched.text(0))?;
        }
        Ok(())
    }
}

/// What is not as the files say, or on its way there, by a look of one's own.
async fn unsettled(stage: &Stage) -> Result<Option<String>, Fail> {
    for watched in &WATCHED {
        let session = stage.session(spec(&watched.text(0))?, &stage.url("aws"))?;
        let plan = session.plan(PlanOptions::default()).await.plan;
        // An old address that waits for the new one to be healthy is not the end.
        let moving = plan.waits.iter().any(|wait| wait.why.contains(NAME));
        if !plan.is_empty() || !plan.refusals.is_empty() || moving {
            return Ok(Some(format!("{plan:#?}")));
        }
    }
    Ok(None)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soak_ends_converged_and_no_larger() -> Result<(), Fail> {
    let rounds = usize::try_from(number("PRIVNET_SOAK_ROUNDS").unwrap_or(2000))?;
    let seed = number("PRIVNET_SOAK_SEED").unwrap_or(SEED);
    privnet_integration_tests::tell!("PRIVNET_SOAK_ROUNDS={rounds} PRIVNET_SOAK_SEED={seed}");
    let stage = Stage::open(None).await?;
    let files_at = tempfile::tempdir()?;
    let mut world = World {
        stage: &stage,
        folder: files_at.path().to_owned(),
        dice: Dice(seed),
        done: BTreeMap::new(),
        asked: 0,
    };
    world.peace()?;
    let started = Instant::now();
    let mut watcher = Watcher::start(&stage, files_at.path())?;
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let mut tenth = 0.0_f64;
    for round in 0..rounds {
        let (deployment, outcome) = tokio::task::block_in_place(|| watcher.round())?;
        *outcomes.entry(format!("{deployment} {outcome}")).or_default() += 1;
        tokio::task::block_in_place(|| world.happens())?;
        if round == rounds / 10 {
            tenth = watcher.memory()?;
        }
    }
    world.peace()?;
    let peace = Instant::now();
    while let Some(rest) = unsettled(&stage).await? {
        assert!(
            peace.elapsed() < Duration::from_secs(60),
            "not converged (seed {seed}): {rest}\n{outcomes:?}"
        );
        tokio::task::block_in_place(|| watcher.round())?;
    }
    let end = watcher.memory()?;
    let seconds = started.elapsed().as_secs_f64();
    privnet_integration_tests::tell!(
        "{rounds} rounds in {seconds:.1} s: {outcomes:?}\nbetween them: {:?}",
        world.done
    );
    privnet_integration_tests::tell!(
        "memory: {tenth:.0} KiB at a tenth, {end:.0} KiB at the end ({:.3})",
        end / tenth
    );
    drop(watcher);
    assert!(world.done.get("fault").is_some_and(|faults| *faults > rounds / 4), "{:?}", world.done);
    for cloud in CLOUDS {
        assert!(
            world.done.get(cloud).is_some_and(|faults| *faults > rounds / 12),
            "{cloud}: {:?}",
            world.done
        );
    }
    for watched in &WATCHED {
        let mended = outcomes.get(&format!("{} mended", watched.name));
        assert!(mended.is_some_and(|mended| *mended > 5), "{}: {outcomes:?}", watched.name);
    }
    assert!(end <= tenth * GROWTH, "it grew (seed {seed}): {tenth} KiB, then {end} KiB");
    Ok(())
}

/// The watch itself, for the parent process, which stops it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the soak starts it"]
async fn the_process_that_is_measured() -> Result<(), Fail> {
    let folder = PathBuf::from(std::env::var("PRIVNET_SOAK_CHILD")?);
    let clouds = Clouds::Sandbox(SandboxEndpoints {
        aws: std::env::var("PRIVNET_SOAK_AWS")?,
        azure: std::env::var("PRIVNET_SOAK_AZURE")?,
        gcp: std::env::var("PRIVNET_SOAK_GCP")?,
        dns: std::env::var("PRIVNET_SOAK_DNS")?.parse()?,
        speed: SPEED,
    });
    let options = WatchOptions { pace: SPEED, reread: Duration::from_millis(20), ..WatchOptions::default() };
    let cancel = CancellationToken::new();
    let (stop, audit) = (cancel.clone(), AuditFile::new(folder.join("audit.jsonl")));
    let open = move |spec| {
        SessionBuilder::new(spec, clouds.clone(), Arc::new(audit.clone())).cancel(stop.clone()).build()
    };
    let mut watch = Watch::new(options, open, |event| {
        if let WatchEvent::Ended(round) = event {
            // Two requests that only a person can tell apart are told by every round: it mends what it can all the same.
            let mended = round.report.as_ref().is_some_and(Report::all_done) && round.errors() == 0;
            let outcome = if mended { RoundOutcome::Mended } else { round.outcome() };
            println!("round {} {}", round.deployment, outcome.as_str());
        }
    });
    for Watched { name, .. } in &WATCHED {
        let path = folder.join(format!("{name}.yaml"));
        let text = std::fs::read_to_string(&path)?;
        let own = spec(&text)?;
        watch.add(name, Some(path), text, own, &[])?;
    }
    watch.run(cancel).await;
    Ok(())
}
