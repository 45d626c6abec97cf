//! Generates the Rust types of the .proto files, without a `protoc` on the machine.

use prost::Message as _;
use std::env;
use std::error::Error;
use std::path::PathBuf;

/// Every file that is compiled; they find each other from this crate's root.
const FILES: [&str; 6] = [
    "codis/meta/v1/topology.proto",
    "codis/meta/v1/state.proto",
    "codis/meta/v1/command.proto",
    "codis/link/v1/link.proto",
    "codis/member/v1/member.proto",
    "codis/admin/v1/admin.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=codis");
    let descriptors = protox::compile(FILES, ["."])?;
    // For server reflection.
    let path = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(path, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // A hash map would be written in an order of its own on each member.
        .btree_map(".")
        // Made once, sent to many.
        .bytes(".codis.link.v1.MemberMessage")
        .bytes(".codis.member.v1.Packet")
        .compile_fds(descriptors)?;
    Ok(())
}
