//! EC2 and ELBv2 Query protocols, and STS.
