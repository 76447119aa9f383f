//! A local cloud for privnet: EC2 and ELBv2, ARM, and GCP compute over HTTP on loopback, with consumers that raise connection requests.
