//! Writes the command table from running servers' own answers.
//!
//! `cargo run -p codis-proxy --example gen_commands -- HOST:PORT [HOST:PORT ...]`: the first is the server whose answers
//! the proxy's are to be equal to; the others contribute the commands that it does not have.

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
    let mut addresses = std::env::args().skip(1);
    let Some(address) = addresses.next() else {
        let usage = "give the address of a redis-server 7.0, and those of newer servers: HOST:PORT";
        return Err(io::Error::other(usage));
    };
    let mut client = server::Client::new(TcpStream::connect(&address)?);
    let version = facts::version(&mut client)?;
    let mut names = vec![name(&mut client)?];
    let mut known = facts::gather(&mut client)?;
    for address in addresses {
        let mut client = server::Client::new(TcpStream::connect(&address)?);
        names.push(name(&mut client)?);
        facts::merge(&mut known, facts::gather(&mut client)?);
    }
    let names = names.join(", ");
    let output =
        generate::generate(&version, &names, facts::with_added(known)).map_err(io::Error::other)?;

    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let command = crate_root.join("src/command");
    std::fs::write(command.join("table.rs"), output.table)?;
    std::fs::write(command.join("commands.resp"), output.entries)?;
    std::fs::write(crate_root.join("../docs/commands.md"), output.page)?;
    writeln!(io::stdout(), "written from {names}")
}

/// The server's name and version, such as `Valkey 8.1.1`. Valkey names the Redis version that it is like, too.
fn name(client: &mut server::Client<TcpStream>) -> io::Result<String> {
    let info = client.ask(&["INFO", "server"])?;
    let valkey = info.text().lines().find_map(|line| line.strip_prefix("valkey_version:"));
    match valkey {
        Some(version) => Ok(format!("Valkey {version}")),
        None => Ok(format!("Redis {}", facts::version(client)?)),
    }
}
