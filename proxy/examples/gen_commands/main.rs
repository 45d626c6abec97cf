//! Writes the command table from a running server's own answers.
//!
//! `cargo run -p codis-proxy --example gen_commands -- HOST:PORT`

mod classes;
mod facts;
mod generate;
#[path = "../../src/command/hash.rs"]
mod hash;
mod page;
mod server;

use std::io::{self, Write};
use std::net::TcpStream;
use std::path::Path;

fn main() -> io::Result<()> {
    let Some(address) = std::env::args().nth(1) else {
        return Err(io::Error::other("give the address of a redis-server 7.0: HOST:PORT"));
    };
    let mut client = server::Client::new(TcpStream::connect(&address)?);
    let version = facts::version(&mut client)?;
    let output =
        generate::generate(&version, facts::gather(&mut client)?).map_err(io::Error::other)?;

    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let command = crate_root.join("src/command");
    std::fs::write(command.join("table.rs"), output.table)?;
    std::fs::write(command.join("commands.resp"), output.entries)?;
    std::fs::write(crate_root.join("../docs/commands.md"), output.page)?;
    writeln!(io::stdout(), "written from redis {version} at {address}")
}
