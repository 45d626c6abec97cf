//! Machines of a test's own, and the cables between them.

use crate::sandbox::{ip, run};
use crate::{Process, eventually};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A switch that [`Host`]s are plugged into, with this process at [`Network::ADDRESS`] on it. One at most in a
/// [`Sandbox`](crate::Sandbox).
#[derive(Debug)]
pub struct Network {
    hosts: Cell<u8>,
}

/// A network namespace with one address, plugged into a [`Network`]: to what runs in it, a machine.
#[derive(Debug)]
pub struct Host {
    number: u8,
    /// Keeps the namespace alive, and names it.
    holder: Process,
}

impl Network {
    /// Where this process, and what it starts outside of any host, is on the network.
    pub const ADDRESS: &str = "10.77.0.1";

    /// Makes the switch.
    ///
    /// # Panics
    /// Outside a sandbox.
    #[must_use]
    #[allow(
        clippy::new_without_default,
        reason = "a default value would set up interfaces in silence"
    )]
    pub fn new() -> Self {
        ip("link add codis0 type bridge");
        ip(&format!("addr add {}/24 dev codis0", Self::ADDRESS));
        ip("link set codis0 up");
        Self { hosts: Cell::new(0) }
    }

    /// Plugs in another host.
    ///
    /// # Panics
    /// When it cannot be set up.
    #[must_use]
    pub fn host(&self) -> Host {
        let number = self.hosts.get() + 1;
        self.hosts.set(number);
        let sleep = ["--net", "sleep", "infinity"].map(str::to_owned);
        let holder = Process::start(Path::new("unshare"), &sleep, Path::new("/dev/null"));
        let host = Host { number, holder };
        eventually("the host's namespace is there", || host.is_apart());
        let (cable, id, address) = (host.cable(), host.holder.id(), host.ip());
        ip(&format!("link add {cable} type veth peer name eth0 netns {id}"));
        ip(&format!("link set {cable} master codis0 up"));
        host.run_ip("link set lo up");
        host.run_ip(&format!("addr add {address}/24 dev eth0"));
        host.run_ip("link set eth0 up");
        host
    }
}

impl Host {
    /// Its address on the network.
    #[must_use]
    pub fn ip(&self) -> String {
        format!("10.77.0.{}", 10 + self.number)
    }

    /// The command line that runs `program` on this host.
    #[must_use]
    pub fn command(&self, program: &Path, args: &[String]) -> (PathBuf, Vec<String>) {
        let mut all = vec![self.namespace(), "--".to_owned(), program.display().to_string()];
        all.extend_from_slice(args);
        (PathBuf::from("nsenter"), all)
    }

    /// From now on nothing that this host sends arrives at `other`, and it is told nothing of that. What `other`
    /// sends still arrives here.
    pub fn lose_what_goes_to(&self, other: &Self) {
        // It goes to a network card that nobody has.
        let address = other.ip();
        self.run_ip(&format!(
            "neigh replace {address} lladdr 02:00:00:00:00:00 dev eth0 nud permanent"
        ));
    }

    /// Ends [`Host::lose_what_goes_to`].
    pub fn reach(&self, other: &Self) {
        // It fails where nothing is lost.
        let _ = self.ip_command(&format!("neigh del {} dev eth0", other.ip())).output();
    }

    /// Pulls its cable out of the switch.
    pub fn unplug(&self) {
        ip(&format!("link set {} down", self.cable()));
    }

    /// Puts its cable back.
    pub fn plug(&self) {
        ip(&format!("link set {} up", self.cable()));
    }

    /// The switch's end of its cable.
    fn cable(&self) -> String {
        format!("codis{}", self.number)
    }

    fn namespace(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.holder.id())
    }

    /// Whether its namespace is another one than ours.
    fn is_apart(&self) -> bool {
        let of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
        let its = of(&self.holder.id().to_string());
        its.is_some() && its != of("self")
    }

    fn ip_command(&self, args: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(self.namespace()).args(["--", "ip"]).args(args.split(' '));
        command
    }

    fn run_ip(&self, args: &str) {
        run(&mut self.ip_command(args));
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, Network};
    use crate::{Client, Process, Sandbox, Value, eventually};
    use std::time::Duration;

    /// A Redis server on a host, and what a client on another one gets.
    fn redis_on(host: &Host, folder: &std::path::Path) -> Process {
        let args = ["--save", "", "--protected-mode", "no", "--dir", &folder.display().to_string()];
        let (program, args) = host.command("redis-server".as_ref(), &args.map(str::to_owned));
        Process::start(&program, &args, &folder.join(host.ip()))
    }

    #[test]
    fn a_host_that_is_unplugged_is_silent_and_answers_again_when_it_is_plugged_in() {
        let name = "network::tests::a_host_that_is_unplugged_is_silent_and_answers_again_when_it_is_plugged_in";
        if Sandbox::enter(name) != Sandbox::Entered {
            return;
        }
        let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
        let network = Network::new();
        let host = network.host();
        let _redis = redis_on(&host, folder.path());
        let address = format!("{}:6379", host.ip());
        eventually("redis answers", || Client::try_connect(&address).is_ok());
        let mut client = Client::connect(&address);
        host.unplug();
        client.send("PING\r\n");
        assert!(!client.something_comes_within(Duration::from_millis(200)));
        host.plug();
        assert_eq!(client.read(), Value::Simple(b"PONG".to_vec()));
    }

    #[test]
    fn hosts_lose_what_goes_between_them_and_reach_others() {
        let name = "network::tests::hosts_lose_what_goes_between_them_and_reach_others";
        if Sandbox::enter(name) != Sandbox::Entered {
            return;
        }
        let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
        let network = Network::new();
        let (one, two) = (network.host(), network.host());
        let _servers = [redis_on(&one, folder.path()), redis_on(&two, folder.path())];
        let addresses = [&one, &two].map(|host| format!("{}:6379", host.ip()));
        for address in &addresses {
            eventually("redis answers", || Client::try_connect(address).is_ok());
        }
        // A replica's link to its master tells whether one host reaches the other.
        let mut replica = Client::connect(&addresses[1]);
        let is_up = |client: &mut Client| {
            client.run("INFO replication").text().contains("master_link_status:up")
        };
        replica.run("CONFIG SET repl-timeout 1");
        assert_eq!(replica.run(&format!("REPLICAOF {} 6379", one.ip())), Value::ok());
        eventually("the replica follows", || is_up(&mut replica));
        two.lose_what_goes_to(&one);
        one.lose_what_goes_to(&two);
        eventually("the replica loses its master", || !is_up(&mut replica));
        assert_eq!(Client::connect(&addresses[0]).run("PING"), Value::Simple(b"PONG".to_vec()));
        two.reach(&one);
        one.reach(&two);
        eventually("the replica follows again", || is_up(&mut replica));
    }
}
