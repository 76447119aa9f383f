//! `privnet sandbox`: the local cloud.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use privnet_core::spec::aws::AwsForm;
use privnet_core::spec::azure::AzureForm;
use privnet_core::spec::gcp::GcpForm;
use privnet_core::spec::{CloudService, Service};
use privnet_sandbox::{Options, Running, Sandbox};
use serde_json::{Map, Value, json};

use crate::args::{Global, SandboxCommand, Which};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::world::sandbox_dir;

pub(crate) async fn run(command: SandboxCommand, global: &Global, output: Output) -> Result<Exit, Failure> {
    let dir = sandbox_dir(global)?;
    match command {
        SandboxCommand::Serve { port, latency, speed, record, faults } => {
            let options =
                Options { port, latency, speed, record, faults, credentials: true, ..Options::new(&dir) };
            serve(&options, output).await
        }
        SandboxCommand::World => {
            let sandbox = Sandbox::open(&dir)?;
            let (text, json) = (sandbox.world_text()?, sandbox.world()?);
            output.result(|_| text, || json);
            Ok(Exit::Done)
        }
        SandboxCommand::Reset => {
            Sandbox::reset(&dir)?;
            output.result(
                |_| format!("{} is back to its default world\n", dir.display()),
                || json!({"reset": dir}),
            );
            Ok(Exit::Done)
        }
        SandboxCommand::Connect { service, consumer } => {
            let (meant, unread) = id_in_files(&service);
            let meant = meant.unwrap_or(service);
            let connection = Sandbox::open(&dir)?.connect(&meant, consumer.as_deref());
            let connection = connection.map_err(|error| {
                let failure = Failure::from(error);
                match unread.as_slice() {
                    [] => failure,
                    [one] => failure.hint(format!("{one} could not be read, so its names are not known")),
                    more => failure
                        .hint(format!("{} could not be read, so their names are not known", more.join(", "))),
                }
            })?;
            output.result(|_| connection_text(&connection), || connection.clone());
            Ok(Exit::Done)
        }
        SandboxCommand::Dns { name, addresses } => {
            Sandbox::open(&dir)?.set_name(&name, &addresses)?;
            let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let answer = if shown.is_empty() { "an empty answer".to_owned() } else { shown.join(", ") };
            output.result(|_| format!("{name} → {answer}\n"), || json!({"name": name, "addresses": shown}));
            Ok(Exit::Done)
        }
    }
}

/// The cloud's id of a service that a file here names and did not make: nothing in the cloud bears the name that it has in the file. Also
/// the files here that could not be read: each has its own names, and hides nobody else's.
fn id_in_files(name: &str) -> (Option<String>, Vec<String>) {
    let found = files::look(&Which::default(), Path::new(".")).unwrap_or_default();
    let (mut specs, mut unread) = (Vec::new(), Vec::new());
    for path in &found.paths {
        let read = files::read_one(path).ok();
        match read.and_then(|source| files::decode(std::slice::from_ref(&source)).ok()) {
            Some(own) => specs.extend(own),
            None => unread.push(path.display().to_string()),
        }
    }
    (specs.iter().find_map(|spec| spec.service(name)).and_then(id_of), unread)
}

/// The cloud's id of a service that was not made by its file.
fn id_of(service: &Service) -> Option<String> {
    match &service.cloud {
        CloudService::Aws(aws) => match &aws.form {
            AwsForm::EndpointService(id) => Some(id.to_string()),
            _ => None,
        },
        CloudService::Azure(azure) => match &azure.form {
            AzureForm::Hosted(hosted) => Some(hosted.resource_id.to_string()),
            AzureForm::PrivateLinkService(id) => Some(id.to_string()),
            _ => None,
        },
        CloudService::Gcp(gcp) => match &gcp.form {
            GcpForm::ServiceAttachment { name, .. } => Some(name.to_string()),
            _ => None,
        },
    }
}

fn connection_text(connection: &Value) -> String {
    let part = |name: &str| connection[name].as_str().unwrap_or_default();
    format!(
        "{} asks for {} as {}: {}\n",
        part("connection"),
        part("service"),
        part("consumer"),
        part("state")
    )
}

async fn serve(options: &Options, output: Output) -> Result<Exit, Failure> {
    let running = Sandbox::serve(options).await?;
    output.result(|_| serving_text(&running, &options.dir, options.latency), || serving_json(&running));
    wait_for_the_end().await;
    running.shutdown().await;
    Ok(Exit::Done)
}

/// Until Ctrl-C or SIGTERM: ending a server is not an interruption of its work.
async fn wait_for_the_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn serving_text(running: &Running, dir: &Path, latency: Duration) -> String {
    let mut text = format!("# serving {} at {}× speed", dir.display(), running.clock().speed());
    if !latency.is_zero() {
        let _ = write!(text, ", {} ms later", latency.as_millis());
    }
    text.push_str("; Ctrl-C ends it\n");
    text.push_str(
        "# For a shell of its own: SSL_CERT_FILE and REQUESTS_CA_BUNDLE trust the local cloud's CA and no other.\n",
    );
    for cloud in running.clouds() {
        let _ = writeln!(text, "\n# {cloud}: {}", running.url(cloud).unwrap_or_default());
        for (name, value) in running.variables(cloud) {
            let _ = writeln!(text, "export {name}={}", quoted(value));
        }
        for line in running.in_code(cloud) {
            let _ = match line.strip_prefix('#') {
                Some(words) => writeln!(text, "#{words}"),
                None => writeln!(text, "#   {line}"),
            };
        }
    }
    let _ = writeln!(text, "\n# DNS (UDP): {}", running.dns());
    text
}

/// A value as a shell reads it.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:._-,".contains(c);
    if value.chars().all(plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', "'\\''")) }
}

fn serving_json(running: &Running) -> Value {
    let clouds: Map<String, Value> = running
        .clouds()
        .map(|cloud| {
            let variables: Map<String, Value> =
                running.variables(cloud).iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            (
                cloud.to_owned(),
                json!({"url": running.url(cloud), "variables": variables, "in_code": running.in_code(cloud)}),
            )
        })
        .collect();
    json!({"clouds": clouds, "dns": running.dns().to_string(), "speed": running.clock().speed()})
}
