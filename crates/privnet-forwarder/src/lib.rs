//! Renders what forwarder machines run: an nftables ruleset, systemd units, a small agent and cloud-init.
//!
//! Where a load balancer cannot target a database (its address moves, or it lies beyond a peering), machines in between
//! forward by kernel NAT. This crate turns port maps into everything such a machine holds. It is pure text: no I/O, no
//! clock, the same input always gives the same output.
//!
//! ```
//! use privnet_forwarder::{CloudLimit, Destination, Engine, Forwarder, PortMap, Settings};
//!
//! let map = PortMap {
//!     listen: 5432,
//!     destination: Destination::Name("orders.cluster-abc.us-east-1.rds.amazonaws.com".into()),
//!     port: 5432,
//!     engine: Engine::Postgres,
//!     health_port: privnet_forwarder::health_ports(&[5432])[0],
//! };
//! let rendered = Forwarder::new(vec![map], Settings::default())?.render();
//! assert!(rendered.user_data(CloudLimit::Aws)?.starts_with("#cloud-config\n"));
//! # Ok::<(), privnet_forwarder::RenderError>(())
//! ```
//!
//! # What a machine does with it
//!
//! - `rules.nft`: a table of its own, `ip privnet_forwarder`. Other tables are never read into it, changed or flushed.
//! - `privnet-forwarder-rules.service` loads it at boot, before the network is up; `privnet-forwarder.service` is the agent: it
//!   follows names, swaps the map in one transaction and answers one HTTP health port for each map (`/all` there: for all maps).
//! - Nothing is downloaded or installed: the image must hold `nft`, `python3` (3.9 or later), `ss` and `sysctl`.
//!
//! # Images
//!
//! Debian 12 and later, Ubuntu 22.04 and later, with what is needed in them: Ubuntu's server images are made with it, Debian's own and
//! Ubuntu's minimal ones are made without nftables ([`ImageDoubt`]). User data needs cloud-init in the image. Google's own Debian images
//! have none: there, give [`Rendered::install_script`] as the `startup-script` metadata (it can run at each boot); Google's Ubuntu
//! images read `user-data`.
//!
//! # Beside other firewalls
//!
//! An `accept` in one nftables table does not undo a `drop` in another. Where something else (Docker, ufw) drops
//! forwarded packets, its own rules have to let these through: they carry the connection mark bit [`CONNECTION_MARK`], for example
//! `iptables -I DOCKER-USER -m connmark --mark 0x8000000/0x8000000 -j ACCEPT`. The agent notices when connections come in and none
//! leave, and fails the health ports with that hint. On a [`Machine::Shared`] only connections to the machine's own addresses are
//! forwarded, and forwarding by others stays as it is; a [`Machine::Dedicated`] forwards nothing but its maps.

mod agent;
mod asked;
mod cloud_init;
mod error;
mod forwarder;
mod image;
mod names;
pub mod probers;
mod render;
mod ruleset;
mod scripts;
mod units;

pub use asked::AskedPort;
pub use cloud_init::{CloudLimit, listens_of};
pub use error::RenderError;
pub use forwarder::{
    Destination, Engine, Forwarder, Machine, PortMap, Resolver, Settings, health_ports, health_ports_beside,
};
pub use image::ImageDoubt;
pub use render::{RENDERING, Rendered, Unit};
pub use ruleset::{CONNECTION_MARK, TABLE};
