//! Renders what forwarder machines run: an nftables ruleset, systemd units, a small agent and cloud-init.
