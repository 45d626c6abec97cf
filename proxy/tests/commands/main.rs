//! The command table against a running `redis-server` (which must be on the PATH).
//!
//! Everything random is seeded: a failure shows the request, and comes again.

#[path = "../../examples/gen_commands/classes.rs"]
mod classes;
mod errors;
#[path = "../../examples/gen_commands/facts.rs"]
mod facts;
mod files;
#[path = "../../examples/gen_commands/generate.rs"]
mod generate;
#[path = "../../src/command/hash.rs"]
mod hash;
mod key_positions;
#[path = "../../examples/gen_commands/page.rs"]
mod page;
mod redis;
mod replies;
#[path = "../../examples/gen_commands/server.rs"]
mod server;

use codis_proxy::resp::{Request, Span};

/// A request and its bytes.
#[derive(Debug, Clone)]
struct Call {
    args: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Call {
    /// A request of these arguments.
    fn new<A: AsRef<[u8]>>(args: &[A]) -> Self {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_ref().to_vec()).collect();
        let mut bytes = Vec::new();
        let mut spans = Vec::new();
        for arg in &args {
            spans.push(Span { start: bytes.len() as u32, len: arg.len() as u32 });
            bytes.extend_from_slice(arg);
        }
        Self { args, bytes, spans }
    }

    /// As the proxy sees it.
    fn request(&self) -> Request<'_> {
        Request { bytes: &self.bytes, args: &self.spans }
    }

    /// For a person.
    fn text(&self) -> String {
        let args: Vec<String> =
            self.args.iter().map(|arg| arg.escape_ascii().to_string()).collect();
        args.join(" ")
    }
}
