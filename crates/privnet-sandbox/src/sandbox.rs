//! A sandbox folder with all clouds of this build: the face that the command line and library users see.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::dns::Names;
use crate::frame::{self, Clock, CloudServer, Options, Requests, Running, SandboxError, Setup};

/// A sandbox folder. Opening it starts nothing.
pub struct Sandbox {
    setup: Setup,
    clouds: Vec<Arc<dyn CloudServer>>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("setup", &self.setup).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Opens a folder with the ordinary setup; it is made when it is not there.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, SandboxError> {
        Self::with_setup(Setup::new(dir))
    }

    fn with_setup(setup: Setup) -> Result<Self, SandboxError> {
        let clouds = crate::clouds::open_all(&setup)?;
        Ok(Self { setup, clouds })
    }

    /// Serves a folder on loopback. Must be called within a tokio runtime.
    pub async fn serve(options: &Options) -> Result<Running, SandboxError> {
        // The clock first, so that every cloud that looks at it by itself has its speed from the beginning.
        Clock::open(&options.dir, options.speed)?;
        let sandbox = Self::with_setup(options.setup())?;
        frame::serve(&sandbox.clouds, options).await
    }

    /// Deletes the folder's state: worlds and names. Processes that serve the folder go on with the default world; so does its clock,
    /// since their time must neither jump nor change its pace.
    pub fn reset(dir: impl Into<PathBuf>) -> Result<(), SandboxError> {
        let dir = dir.into();
        for name in ["aws", "azure", "gcp", "dns"] {
            frame::reset(&dir, name)?;
        }
        Requests::open(&dir).reset()
    }

    /// Each cloud's fixed ids and present contents, by cloud, and the names under `dns`.
    pub fn world(&self) -> Result<Value, SandboxError> {
        let now = Clock::open(&self.setup.dir, None)?.now();
        let mut world = Map::new();
        for cloud in &self.clouds {
            world.insert(cloud.cloud().to_owned(), cloud.describe_world(now));
        }
        world.insert("dns".to_owned(), Names::open(&self.setup.dir)?.describe()?);
        Ok(Value::Object(world))
    }

    /// The same for people: indented names and values.
    pub fn world_text(&self) -> Result<String, SandboxError> {
        let mut out = String::new();
        outline(&self.world()?, 0, &mut out);
        Ok(out)
    }

    /// Raises a further connection request for a service, whichever cloud has it; see [`CloudServer::connect`].
    pub fn connect(&self, service: &str, consumer: Option<&str>) -> Result<Value, SandboxError> {
        let now = Clock::open(&self.setup.dir, None)?.now();
        let known: Vec<_> =
            self.clouds.iter().filter_map(|cloud| Some((cloud.knows(service, now)?, cloud))).collect();
        // A name that a file gave goes before one that something else happens to have.
        let best = known.iter().map(|(by, _)| *by).max();
        let meant: Vec<_> =
            known.iter().filter(|(by, _)| Some(*by) == best).map(|(_, cloud)| *cloud).collect();
        if meant.len() > 1 {
            let clouds = meant.iter().map(|cloud| cloud.cloud()).collect();
            return Err(SandboxError::SeveralServices { service: service.to_owned(), clouds });
        }
        let asked = if meant.is_empty() { self.clouds.iter().collect() } else { meant };
        let mut answers = Vec::new();
        for cloud in asked {
            match cloud.connect(service, consumer, now) {
                Ok(connection) => return Ok(connection),
                Err(why) => answers.push(format!("{}: {why}", cloud.cloud())),
            }
        }
        Err(SandboxError::NoSuchService { service: service.to_owned(), answers })
    }

    /// Sets what a name answers in the sandbox's DNS. An empty list is an empty answer.
    pub fn set_name(&self, name: &str, addresses: &[IpAddr]) -> Result<(), SandboxError> {
        Names::open(&self.setup.dir)?.set(name, addresses)
    }

    /// The sandbox's names, for more than plain addresses: rotation and failures.
    pub fn names(&self) -> Result<Names, SandboxError> {
        Names::open(&self.setup.dir)
    }
}

/// Renders JSON as indented `name: value` lines.
fn outline(value: &Value, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    let mut line = |name: &str, value: &Value| match value {
        Value::Object(map) if !map.is_empty() => {
            out.push_str(&format!("{pad}{name}:\n"));
            outline(value, depth + 1, out);
        }
        Value::Array(list) if list.iter().any(|v| v.is_object() || v.is_array()) => {
            out.push_str(&format!("{pad}{name}:\n"));
            outline(value, depth + 1, out);
        }
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(plain).collect();
            out.push_str(&format!("{pad}{name}: {}\n", items.join(", ")));
        }
        other => out.push_str(&format!("{pad}{name}: {}\n", plain(other))),
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| line(name, value)),
        Value::Array(list) => list.iter().for_each(|value| line("-", value)),
        other => out.push_str(&format!("{pad}{}\n", plain(other))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_keeps_its_pace_when_the_folder_is_reset() {
        let dir = tempfile::tempdir().unwrap();
        let serving = Clock::open(dir.path(), Some(50.0)).unwrap();
        serving.advance(std::time::Duration::from_secs(3_600)).unwrap();
        let before = serving.now();
        Sandbox::reset(dir.path()).unwrap();
        Sandbox::open(dir.path()).unwrap().world().unwrap();
        assert!((serving.speed() - 50.0).abs() < 1e-9 && serving.now() >= before, "time went back or slowed");
    }

    #[test]
    fn the_outline_is_readable() {
        let mut out = String::new();
        outline(&serde_json::json!({"a": {"b": "c", "d": [1, 2]}, "e": [{"f": true}]}), 0, &mut out);
        assert_eq!(out, "a:\n  b: c\n  d: 1, 2\ne:\n  -:\n    f: true\n");
    }
}
