//! Tests of the AWS sandbox through its protocol.
