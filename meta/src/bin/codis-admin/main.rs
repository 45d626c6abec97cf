//! The `codis-admin` binary.

fn main() {}
