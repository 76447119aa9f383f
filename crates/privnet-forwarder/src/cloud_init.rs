//! The user data, and how much of it each cloud takes.

use std::collections::BTreeSet;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};

use crate::error::RenderError;
use crate::scripts::USER_DATA_DIR;
use crate::{agent, scripts};

/// What stands before the compressed script.
const CONTENT: &str = "  content: ";
/// An install script has some 30 KiB: what unpacks to more is none.
const LONGEST_SCRIPT: u64 = 1024 * 1024;

/// How much user data a cloud takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloudLimit {
    /// 16 KiB before base64 ([EC2 user guide, "Work with instance user data"](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html)).
    Aws,
    /// 65,535 bytes before base64, 87,380 after it
    /// ([virtual machines, `osProfile.customData`](https://learn.microsoft.com/en-us/azure/virtual-machines/custom-data)).
    Azure,
    /// 256 KiB for one metadata value ([Compute Engine, "Metadata limits"](https://cloud.google.com/compute/docs/metadata/setting-custom-metadata)).
    Gcp,
}

impl CloudLimit {
    /// Bytes of user data before any encoding.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Aws => 16 * 1024,
            Self::Azure => 65_535,
            Self::Gcp => 256 * 1024,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Azure => "Azure",
            Self::Gcp => "GCP",
        }
    }

    /// Whether so much text fits.
    pub(crate) fn check(self, text: &str) -> Result<(), RenderError> {
        if text.len() <= self.bytes() {
            return Ok(());
        }
        Err(RenderError::TooLarge { cloud: self.name(), size: text.len(), limit: self.bytes() })
    }
}

/// The install script as a cloud-config: written to the machine, then run once. It is compressed because AWS takes so little;
/// cloud-init knows the encoding by itself
/// ([module reference, "Write Files"](https://cloudinit.readthedocs.io/en/latest/reference/modules.html#write-files)).
pub(crate) fn render(install_script: &str) -> String {
    let encoded = STANDARD.encode(gzip(install_script.as_bytes()));
    format!(
        "#cloud-config
write_files:
- path: {USER_DATA_DIR}/install.sh
  permissions: '0700'
  encoding: gz+b64
{CONTENT}{encoded}
runcmd:
- [sh, {USER_DATA_DIR}/install.sh]
"
    )
}

/// The listening ports that machines of this user data forward; nothing where it is not what `render` makes. It tells of machines that are
/// there, whichever release made them.
#[must_use]
pub fn listens_of(user_data: &str) -> Option<BTreeSet<u16>> {
    let encoded = user_data.lines().find_map(|line| line.strip_prefix(CONTENT))?;
    let packed = STANDARD.decode(encoded).ok()?;
    let mut script = String::new();
    GzDecoder::new(packed.as_slice()).take(LONGEST_SCRIPT).read_to_string(&mut script).ok()?;
    agent::listens_of(scripts::agent_config_of(&script)?)
}

/// RFC 1952. Without a time or a file name, so that equal text gives equal bytes.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut reader = GzBuilder::new().read(bytes, Compression::best());
    // Reading from memory cannot fail; if it did, cloud-init would refuse the cut-off stream, not run half a script.
    let _ = reader.read_to_end(&mut packed);
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Destination, Engine, Forwarder, PortMap, Settings, health_ports};

    #[test]
    fn tells_which_ports_machines_forward() {
        for listens in [vec![5432], vec![22, 3306, 5432]] {
            let maps = listens.iter().zip(health_ports(&listens)).map(|(listen, health_port)| PortMap {
                listen: *listen,
                destination: Destination::Name("db.example".to_owned()),
                port: 5432,
                engine: Engine::Postgres,
                health_port,
            });
            let settings = Settings { take_ssh_port: true, ..Settings::default() };
            let rendered = Forwarder::new(maps.collect(), settings).expect("it is sound").render();
            assert_eq!(listens_of(&rendered.cloud_init), Some(listens.into_iter().collect()));
        }
    }

    #[test]
    fn what_is_not_rendered_here_tells_nothing() {
        let packed = STANDARD.encode(gzip(b"#!/bin/sh\n"));
        for other in ["", "#!/bin/sh\n", "#cloud-config\n", "  content: %", &format!("{CONTENT}{packed}\n")] {
            assert_eq!(listens_of(other), None, "{other}");
        }
    }
}
