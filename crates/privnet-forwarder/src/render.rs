//! All that is rendered, in one value.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::error::RenderError;
use crate::forwarder::Forwarder;
use crate::{CloudLimit, agent, cloud_init, ruleset, scripts, units};

/// The generation of what machines run. It is part of [`Rendered::fingerprint`], and it is raised only when machines that
/// run should be replaced by the new rendering; mending a comment here must not roll everybody's forwarders.
pub const RENDERING: u32 = 1;

/// A systemd unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its file name.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

/// What a forwarder machine runs. All of it is text; [`Self::install_script`] and [`Self::cloud_init`] each hold the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// `/etc/privnet-forwarder/rules.nft`: `nft -f` can load it as it is.
    pub ruleset: String,
    /// `/etc/sysctl.d/60-privnet-forwarder.conf`.
    pub sysctl: String,
    /// Two systemd units, in the order in which they start.
    pub units: Vec<Unit>,
    /// The Python agent.
    pub agent: String,
    /// `/etc/privnet-forwarder/config.json`.
    pub agent_config: String,
    /// A POSIX shell script that puts all of this on a machine; it can be run again. Also a GCP `startup-script`.
    pub install_script: String,
    /// A POSIX shell script that takes it off again; it can be run again.
    pub uninstall_script: String,
    /// The install script as a cloud-config. Use [`Self::user_data`] to have its size checked.
    pub cloud_init: String,
    /// 16 hexadecimal digits over the maps, the settings and [`RENDERING`]. Equal means: a machine that runs the one need not be replaced by
    /// the other. Compare this, not the user data, which may differ between releases.
    pub fingerprint: String,
}

impl Rendered {
    /// The user data for a machine of this cloud, before any base64.
    ///
    /// # Errors
    /// [`RenderError::TooLarge`] when the cloud would refuse it.
    pub fn user_data(&self, cloud: CloudLimit) -> Result<&str, RenderError> {
        cloud.check(&self.cloud_init)?;
        Ok(&self.cloud_init)
    }
}

impl Forwarder {
    /// Renders everything. The same maps and settings always give the same text.
    #[must_use]
    pub fn render(&self) -> Rendered {
        let ruleset = ruleset::render(self);
        let units = units::render();
        let agent = agent::SOURCE.to_owned();
        let agent_config = agent::config(self);
        let fingerprint = self.fingerprint(&agent_config);
        let files = scripts::Files {
            ruleset: &ruleset,
            sysctl: units::SYSCTL,
            units: &units,
            agent: &agent,
            agent_config: &agent_config,
            fingerprint: &fingerprint,
        };
        let install_script = scripts::install(self, &files);
        let uninstall_script = scripts::uninstall(&units);
        let cloud_init = cloud_init::render(&install_script);
        Rendered {
            ruleset,
            sysctl: units::SYSCTL.to_owned(),
            units,
            agent,
            agent_config,
            install_script,
            uninstall_script,
            cloud_init,
            fingerprint,
        }
    }

    /// Over the meaning, not over the rendered text: see [`RENDERING`].
    fn fingerprint(&self, agent_config: &str) -> String {
        let settings = &self.settings;
        let rest = format!(
            "{RENDERING} {:?} {} {:?}",
            settings.machine, settings.take_ssh_port, settings.probe_sources
        );
        let digest = Sha256::digest(format!("{agent_config}{rest}"));
        digest.iter().take(8).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}
