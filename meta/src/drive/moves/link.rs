//! Connections of the migrator to servers.
//!
//! Whoever works at a server in a term first raises the reserved key there to it, and kills the connections of
//! older ones; whoever finds a newer term goes away. Each connection says its term before it looks, so that one is either
//! seen by the newer leader that kills it, or sees its mark.
//!
//! What a lost connection has sent may run late. So it is killed at the server before another is used there in its place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codis_proto::{COPIES_KEY, MOVER_KEY};

use super::abilities::Abilities;
use super::copies::Copies;
use super::net::{Connection, Net, Request, Value, request};
use super::trouble::Trouble;
use crate::drive::wire::RAISE;

/// How long a server may take for what is no work.
pub(super) const CALL_MAX: Duration = Duration::from_secs(1);

/// What a connection of a migrator is named by, before the term.
pub(in crate::drive) const NAME: &str = "codis-mover:";

/// What one that only looks is named.
const VISITOR: &str = "codis-visitor";

/// What is remembered of a server within a term.
#[derive(Debug, Default)]
pub(super) struct Host {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The run that the marks were written in; empty before the first.
    run_id: String,
    abilities: Abilities,
    /// Connections that were lost with something on its way: their run and number.
    strays: Vec<(String, i64)>,
}

impl Host {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every server that was reached in this term.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
    pub(super) copies: Copies,
    /// How many connections have been told apart by their names.
    numbered: AtomicU64,
}

impl Hosts {
    /// Whether a server has been worked with, and so been cleared of what leaders before had left.
    pub(super) fn has_met(&self, address: &str) -> bool {
        !self.get(address).lock().run_id.is_empty()
    }

    fn get(&self, address: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(address.to_owned()).or_default())
    }
}

/// A connection to a server that may be worked with.
pub(super) struct Link<C> {
    connection: C,
    address: String,
    host: Arc<Host>,
    id: i64,
    /// The server's run.
    pub(super) run_id: String,
    /// What it says of its release; equal for servers of the same.
    pub(super) release: String,
    pub(super) abilities: Abilities,
    database: u32,
}

/// Connects to a server for the leader of `term`. See the module's head.
pub(super) async fn open<N: Net>(
    net: &N,
    hosts: &Hosts,
    address: &str,
    password: &str,
    term: u64,
) -> Result<Link<N::Connection>, Trouble> {
    let mut link = connect(net, hosts.get(address), address).await?;
    let name = format!("{NAME}{term}");
    link.introduce(password, &name).await?;
    if link.id == 0 {
        let number = hosts.numbered.fetch_add(1, Ordering::Relaxed);
        link.find_by_name(&format!("{name}:{number}")).await?;
    }
    link.raise(term).await?;
    link.tidy(term, &hosts.copies).await?;
    Ok(link)
}

/// Connects to a server to look only.
pub(super) async fn visit<N: Net>(
    net: &N,
    address: &str,
    password: &str,
) -> Result<Link<N::Connection>, Trouble> {
    let mut link = connect(net, Arc::default(), address).await?;
    link.introduce(password, VISITOR).await?;
    link.abilities = link.abilities().await?;
    Ok(link)
}

async fn connect<N: Net>(
    net: &N,
    host: Arc<Host>,
    address: &str,
) -> Result<Link<N::Connection>, Trouble> {
    let away = |why: String| Trouble::Away { address: address.to_owned(), why };
    let connection = net.connect(address).await.map_err(|error| away(error.to_string()))?;
    Ok(Link {
        connection,
        address: address.to_owned(),
        host,
        id: 0,
        run_id: String::new(),
        release: String::new(),
        abilities: Abilities::default(),
        database: 0,
    })
}

impl<C: Connection> Link<C> {
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Names the connection and looks whom it speaks to.
    async fn introduce(&mut self, password: &str, name: &str) -> Result<(), Trouble> {
        let mut requests = Vec::new();
        if !password.is_empty() {
            requests.push(request(&["AUTH", password]));
        }
        requests.push(request(&["CLIENT", "SETNAME", name]));
        requests.push(request(&["CLIENT", "ID"]));
        requests.push(request(&["INFO"]));
        let names: Vec<String> = requests.iter().map(name_of).collect();
        let requests = requests.into_iter().map(|request| (0, request)).collect();
        let answers = self.ask(requests, CALL_MAX).await?;
        let last = answers.len() - 1;
        for (place, (answer, name)) in answers.iter().zip(names).enumerate() {
            match answer {
                // A server before Redis 5.0 does not tell a connection its number.
                Value::Error(why) if place + 1 != last || !why.starts_with("ERR") => {
                    return Err(self.refused(&name, why));
                }
                _ => {}
            }
        }
        let [.., id, info] = answers.as_slice() else { return Err(self.unfit("says too little")) };
        let info = info.text().unwrap_or_default();
        self.id = id.integer().unwrap_or(0);
        self.run_id = field(info, "run_id").to_owned();
        self.release = ["redis_version", "valkey_version"].map(|name| field(info, name)).join(" ");
        if field(info, "role") != "master" {
            let of = (field(info, "master_host"), field(info, "master_port"));
            let what = format!("is no master, it follows {}:{}: promote a server", of.0, of.1);
            return Err(self.unfit(&what));
        }
        if self.run_id.is_empty() {
            return Err(self.unfit("does not tell its run_id in INFO"));
        }
        Ok(())
    }

    /// Learns the connection's number by giving it a name that no other has. It says the term still.
    async fn find_by_name(&mut self, own: &str) -> Result<(), Trouble> {
        let ask = vec![request(&["CLIENT", "SETNAME", own]), request(&["CLIENT", "LIST"])];
        let list = self.all_well(ask).await?.pop().and_then(Value::into_bytes).unwrap_or_default();
        let list = String::from_utf8_lossy(&list).into_owned();
        let mut lines = list.lines().filter(|line| client_field(line, "name") == Some(own));
        let id = lines.next().and_then(|line| client_field(line, "id")?.parse().ok());
        self.id = id.ok_or_else(|| self.unfit("does not number its connections"))?;
        Ok(())
    }

    /// Raises the mark on the server; refused where it is higher.
    async fn raise(&mut self, term: u64) -> Result<(), Trouble> {
        let raise = request(&["EVAL", RAISE, "1", MOVER_KEY, &term.to_string()]);
        let held = self.all_well(vec![raise]).await?.pop().and_then(Value::into_items);
        let held = held.and_then(|items| items.first().and_then(Value::integer));
        match held {
            Some(held) if u64::try_from(held).is_ok_and(|held| held == term) => Ok(()),
            Some(held) => Err(self.unfit(&format!(
                "has been worked at by the leader of term {held}, this one is of {term}. If no newer leader and no \
                 other metadata group uses it, DEL {MOVER_KEY} there"
            ))),
            None => Err(self.unfit("does not run scripts as Redis does")),
        }
    }

    /// On the first connection to a run of the server: looks what it can, and kills what is older. On each: kills
    /// lost connections, and removes what copies have left.
    async fn tidy(&mut self, term: u64, copies: &Copies) -> Result<(), Trouble> {
        let (known, strays) = {
            let memory = self.host.lock();
            let known = (memory.run_id == self.run_id).then_some(memory.abilities);
            let run = |stray: &&(String, i64)| stray.0 == self.run_id;
            let strays: Vec<i64> = memory.strays.iter().filter(run).map(|stray| stray.1).collect();
            (known, strays)
        };
        let mut ids = strays.clone();
        if let Some(abilities) = known {
            self.abilities = abilities;
        } else {
            self.abilities = self.abilities().await?;
            ids.extend(self.older(term).await?);
        }
        let kills = ids.iter().map(|id| request(&["CLIENT", "KILL", "ID", &id.to_string()]));
        self.all_well(kills.collect()).await?;
        let register = self.all_well(vec![request(&["SMEMBERS", COPIES_KEY])]).await?.pop();
        let register = register.and_then(Value::into_items).unwrap_or_default();
        self.ask_well(copies.left(&register), CALL_MAX).await?;
        let mut memory = self.host.lock();
        memory.run_id.clone_from(&self.run_id);
        memory.abilities = self.abilities;
        memory.strays.retain(|(run, id)| *run == self.run_id && !strays.contains(id));
        Ok(())
    }

    /// Asks what the server can do. Refuses one that lacks what moving takes.
    async fn abilities(&mut self) -> Result<Abilities, Trouble> {
        let answer = self.all_well(vec![Abilities::question()]).await?.pop();
        Abilities::read(answer).map_err(|missing| {
            self.unfit(&format!(
                "does not know {missing}, without which no key moves: keep it under its own name (rename-command)"
            ))
        })
    }

    /// The connections there of leaders before `term`.
    async fn older(&mut self, term: u64) -> Result<Vec<i64>, Trouble> {
        let list = self.all_well(vec![request(&["CLIENT", "LIST"])]).await?.pop();
        let list = list.and_then(Value::into_bytes).unwrap_or_default();
        let list = String::from_utf8_lossy(&list).into_owned();
        Ok(list.lines().filter_map(|line| older_mover(line, term)).collect())
    }

    /// Asks in one go; each request is of a database. Errors of the server are among the answers.
    pub(super) async fn ask(
        &mut self,
        requests: Vec<(u32, Request)>,
        patience: Duration,
    ) -> Result<Vec<Value>, Trouble> {
        let mut sent = Vec::with_capacity(requests.len());
        let mut selects = Vec::new();
        for (database, request) in requests {
            if database != self.database {
                selects.push((sent.len(), database));
                sent.push(vec![b"SELECT".to_vec(), database.to_string().into_bytes()]);
                self.database = database;
            }
            sent.push(self.abilities.in_its_words(request));
        }
        if sent.is_empty() {
            return Ok(Vec::new());
        }
        let count = sent.len();
        let mut answers = match self.connection.ask(sent, patience).await {
            Ok(answers) if answers.len() == count => answers,
            Ok(_) => return Err(self.lost("answers are missing")),
            Err(error) => return Err(self.lost(&error.to_string())),
        };
        for (place, database) in selects.into_iter().rev() {
            if let Value::Error(why) = answers.remove(place) {
                // What came behind it went to another database.
                return Err(self.refused(&format!("SELECT {database}"), &why));
            }
        }
        Ok(answers)
    }

    /// Asks what takes no work and must not fail.
    pub(super) async fn all_well(&mut self, requests: Vec<Request>) -> Result<Vec<Value>, Trouble> {
        self.all_well_in(self.database, requests, CALL_MAX).await
    }

    /// As [`Link::ask_well`], of one database.
    pub(super) async fn all_well_in(
        &mut self,
        database: u32,
        requests: Vec<Request>,
        patience: Duration,
    ) -> Result<Vec<Value>, Trouble> {
        let requests = requests.into_iter().map(|request| (database, request)).collect();
        self.ask_well(requests, patience).await
    }

    /// As [`Link::ask`], but an error of the server is one here.
    pub(super) async fn ask_well(
        &mut self,
        requests: Vec<(u32, Request)>,
        patience: Duration,
    ) -> Result<Vec<Value>, Trouble> {
        let names: Vec<String> = requests.iter().map(|(_, request)| name_of(request)).collect();
        let answers = self.ask(requests, patience).await?;
        for (answer, name) in answers.iter().zip(names) {
            if let Value::Error(why) = answer {
                return Err(self.refused(&name, why));
            }
        }
        Ok(answers)
    }

    /// Begins a request whose last argument has `length` bytes, which follow by [`Link::push`].
    pub(super) async fn begin(
        &mut self,
        database: u32,
        head: Request,
        length: u64,
    ) -> Result<(), Trouble> {
        if database != self.database {
            let select = request(&["SELECT", &database.to_string()]);
            self.all_well(vec![select]).await?;
            self.database = database;
        }
        let begun = self.connection.begin(head, length).await;
        begun.map_err(|error| self.lost(&error.to_string()))
    }

    /// Sends a piece of the argument.
    pub(super) async fn push(&mut self, bytes: Vec<u8>, patience: Duration) -> Result<(), Trouble> {
        let pushed = self.connection.push(bytes, patience).await;
        pushed.map_err(|error| self.lost(&error.to_string()))
    }

    /// Reads the reply to the request that was begun.
    pub(super) async fn finish(&mut self, what: &str, patience: Duration) -> Result<(), Trouble> {
        match self.connection.finish(patience).await {
            Ok(Value::Error(why)) => Err(self.refused(what, &why)),
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(&error.to_string())),
        }
    }

    /// The connection is of no use any more.
    pub(super) fn lost(&self, why: &str) -> Trouble {
        if self.id != 0 {
            self.host.lock().strays.push((self.run_id.clone(), self.id));
        }
        Trouble::Away { address: self.address.clone(), why: why.to_owned() }
    }

    pub(super) fn refused(&self, what: &str, why: &str) -> Trouble {
        Trouble::Refused {
            address: self.address.clone(),
            what: what.to_owned(),
            why: why.to_owned(),
        }
    }

    fn unfit(&self, what: &str) -> Trouble {
        Trouble::Unfit(format!("{} {what}", self.address))
    }
}

/// A command's name, for a sentence.
fn name_of(request: &Request) -> String {
    request.first().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default()
}

/// A field of INFO; empty where there is none.
pub(super) fn field<'a>(info: &'a str, name: &str) -> &'a str {
    let is_it = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
    info.lines().find_map(is_it).unwrap_or_default().trim_end()
}

/// The connection that a line of CLIENT LIST is about, if it is that of a leader before `term`.
pub(in crate::drive) fn older_mover(line: &str, term: u64) -> Option<i64> {
    let rest = client_field(line, "name")?.strip_prefix(NAME)?;
    // A number may follow that tells the connection from others.
    let of = rest.split(':').next()?.parse::<u64>().ok()?;
    (of < term).then(|| client_field(line, "id")?.parse().ok())?
}

/// A field of a line of CLIENT LIST.
pub(super) fn client_field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn movers_of_older_terms_are_found_in_the_list() {
        let line =
            |name: &str| format!("id=7 addr=10.0.0.1:5 laddr=10.0.0.2:6379 fd=8 name={name} age=1");
        for (name, older) in [
            ("codis-mover:4", true),
            ("codis-mover:4:17", true),
            ("codis-mover:5:4", false),
            ("codis-mover:5", false),
            ("codis-mover:x", false),
            ("codis-proxy:a:4", false),
            ("", false),
        ] {
            assert_eq!(older_mover(&line(name), 5), older.then_some(7), "{name}");
        }
    }

    #[test]
    fn a_field_of_info_is_found_by_its_whole_name() {
        let info = "# Server\r\nmaster_run_id:b\r\nrun_id:a\r\nrole:master\r\n";
        assert_eq!(field(info, "run_id"), "a");
        assert_eq!(field(info, "run"), "");
    }
}
