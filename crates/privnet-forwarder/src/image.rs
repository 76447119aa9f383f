//! What is told of a machine image that is not known to hold what a forwarder needs. Which images these are, each cloud's provider knows by
//! their names; into none can anybody look from outside.

/// Why an image is not known to hold what a forwarder needs. What is known of Ubuntu's server images is that they are made with
/// `ubuntu-standard`, which brings nftables (<https://git.launchpad.net/ubuntu/+source/ubuntu-meta/tree/standard-amd64>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageDoubt {
    /// It is one of those that Debian publishes, whose recipe names iptables and not nftables
    /// (<https://salsa.debian.org/cloud-team/debian-cloud-images>, `package_config/SYSTEM_BOOT`).
    Debian,
    /// It is one of Ubuntu's minimal ones, which are made without `ubuntu-standard`
    /// (<https://documentation.ubuntu.com/public-cloud/en/latest/all-clouds-explanation/ubuntu-base-and-minimal-images/>).
    Minimal,
    /// It may not be read.
    Unread,
    /// It is somebody's own, or of a system that nobody tried.
    Unknown,
}

impl ImageDoubt {
    /// What a plan warns of.
    #[must_use]
    pub fn of(self, image: &str) -> String {
        let why = match self {
            Self::Debian => {
                "is one of Debian's own, whose recipe names iptables and no nftables: have that put in. A forwarder's image must"
            }
            Self::Minimal => {
                "is a minimal one, made without `ubuntu-standard`, which brings nftables: have that put in. A forwarder's image must"
            }
            Self::Unread => "could not be read, and nobody can look into it: it must",
            Self::Unknown => "cannot be looked into: it must",
        };
        format!(
            "the image {image} {why} hold nft, python3 (3.9 or later), ss, sysctl, systemd and cloud-init, since nothing is installed \
             at boot; a machine that lacks one of them says so on its console, and is never healthy"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_doubt_says_what_an_image_must_hold() {
        for (doubt, word) in [
            (ImageDoubt::Debian, "no nftables"),
            (ImageDoubt::Minimal, "a minimal one"),
            (ImageDoubt::Unread, "could not be read"),
            (ImageDoubt::Unknown, "cannot be looked into"),
        ] {
            let text = doubt.of("x");
            let needs = ["nft", "python3", "cloud-init", word];
            assert!(needs.iter().all(|need| text.contains(need)), "{text}");
        }
    }
}
