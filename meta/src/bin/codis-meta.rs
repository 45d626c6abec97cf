//! The `codis-meta` binary.

fn main() {}
