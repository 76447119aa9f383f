//! The command `privnet`.
fn main() {}
