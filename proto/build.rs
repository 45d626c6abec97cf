//! Generates the Rust types of the .proto files, without a `protoc` on the machine.

use std::error::Error;

/// Every file that is compiled; they find each other from this crate's root.
const FILES: [&str; 3] =
    ["codis/meta/v1/topology.proto", "codis/meta/v1/state.proto", "codis/meta/v1/command.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=codis");
    let descriptors = protox::compile(FILES, ["."])?;
    prost_build::Config::new()
        // A hash map would be written in an order of its own on each member.
        .btree_map(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
