//! MIGRATE, as Redis 7.0 does it: the source does nothing else meanwhile, keeps its connection to the target, and gives up a
//! target that is silent, whatever it may still do.

use super::commands::number;
use super::data::Place;
use super::lua::Running;
use super::reply::{Reply, encode};
use super::{Near, Wire};
use crate::world::{Event, World};

/// How long an unused connection to another server is kept.
const LINK_IDLE_US: u64 = 10_000_000;

/// A request that waits for a MIGRATE.
pub(crate) struct Blocked {
    pub(crate) wire: usize,
    /// The script that it is in, if it is in one, with the database that is selected there.
    pub(crate) script: Option<(Running, u32)>,
    pub(crate) migrate: Migrate,
    /// Names the read that is waited for.
    pub(crate) serial: u64,
    /// It came while the server was frozen: what is there is read first.
    late: bool,
}

/// A MIGRATE under way.
pub(crate) struct Migrate {
    address: String,
    database: u32,
    keys: Vec<Place>,
    timeout_us: u64,
    copy: bool,
    replace: bool,
    /// By SLOTSRESTORE, and answered as Codis does.
    codis: bool,
    link: usize,
    /// Replies to what comes before the RESTOREs.
    before: usize,
    /// Bytes that have come back.
    received: Vec<u8>,
    answered: usize,
    failure: Option<String>,
    may_retry: bool,
}

fn io_error(what: &str) -> Reply {
    Reply::Error(format!("IOERR error or timeout {what} to target instance"))
}

impl Migrate {
    fn read(args: &[Vec<u8>], source_database: u32) -> Result<Self, Reply> {
        let text = |at: usize| String::from_utf8_lossy(&args[at]).into_owned();
        let mut migrate = Self {
            address: format!("{}:{}", text(1), text(2)),
            database: number(&args[4])? as u32,
            keys: Vec::new(),
            timeout_us: 1000 * number(&args[5])? as u64,
            copy: false,
            replace: false,
            codis: false,
            link: usize::MAX,
            before: 0,
            received: Vec::new(),
            answered: 0,
            failure: None,
            may_retry: true,
        };
        if !args[3].is_empty() {
            migrate.keys.push((source_database, args[3].clone()));
        }
        let mut options = args[6..].iter();
        while let Some(option) = options.next() {
            match option.as_slice() {
                b"COPY" => migrate.copy = true,
                b"REPLACE" => migrate.replace = true,
                b"KEYS" => {
                    migrate.keys.extend(options.by_ref().map(|key| (source_database, key.clone())));
                }
                _ => return Err(Reply::Error("ERR syntax error".into())),
            }
        }
        Ok(migrate)
    }
}

impl World {
    /// Begins a MIGRATE; answers it if it is over at once, else the server is to be blocked by it.
    pub(crate) fn begin_migrate(
        &mut self,
        server: usize,
        database: u32,
        args: &[Vec<u8>],
    ) -> Result<Migrate, Reply> {
        let mut migrate = Migrate::read(args, database)?;
        let data = &self.servers[server].data;
        migrate.keys.retain(|place| data.get(place).is_some());
        if migrate.keys.is_empty() {
            return Err(Reply::Status("NOKEY".into()));
        }
        self.send_restores(server, &mut migrate)?;
        Ok(migrate)
    }

    /// Begins a SLOTSMGRTONE; the same.
    pub(crate) fn begin_hand_on(
        &mut self,
        server: usize,
        database: u32,
        args: &[Vec<u8>],
    ) -> Result<Migrate, Reply> {
        let key = (database, args[4].clone());
        if self.servers[server].data.get(&key).is_none() {
            return Err(Reply::Int(0));
        }
        let database = database.to_string().into_bytes();
        let [host, port, timeout] = [1, 2, 3].map(|at| args[at].clone());
        let args = [b"MIGRATE".to_vec(), host, port, Vec::new(), database, timeout];
        let mut migrate = Migrate::read(&args, key.0)?;
        migrate.keys.push(key);
        (migrate.codis, migrate.may_retry) = (true, false);
        self.send_restores(server, &mut migrate)?;
        Ok(migrate)
    }

    fn send_restores(&mut self, server: usize, migrate: &mut Migrate) -> Result<(), Reply> {
        let known = self.servers[server].run.links.get(&migrate.address).copied();
        let (link, selected) = match known {
            Some(link) => link,
            None => {
                let target = self.server_at(&migrate.address);
                if self.servers[target].down {
                    return Err(Reply::Error(
                        "IOERR error or timeout connecting to the client".into(),
                    ));
                }
                let near = Near::Server { server, run: self.servers[server].runs };
                let link = self.connect(Wire::new(target, near));
                (link, u32::MAX)
            }
        };
        migrate.link = link;
        migrate.before = 0;
        migrate.answered = 0;
        migrate.received.clear();
        let mut bytes = Vec::new();
        if selected != migrate.database {
            bytes.extend(encode(&["SELECT", &migrate.database.to_string()]));
            migrate.before = 1;
        }
        let now_ms = self.now_ms();
        for place in &migrate.keys {
            let Some(entry) = self.servers[server].data.get(place) else { continue };
            let ttl = entry.expires.map_or(0, |at| at.saturating_sub(now_ms).max(1)).to_string();
            let dump = entry.value.dump();
            let name: &[u8] = if migrate.codis { b"SLOTSRESTORE" } else { b"RESTORE" };
            let mut restore: Vec<&[u8]> = vec![name, &place.1, ttl.as_bytes(), &dump];
            if migrate.replace {
                restore.push(b"REPLACE");
            }
            bytes.extend(encode(&restore));
        }
        let kept = (link, migrate.database);
        self.servers[server].run.links.insert(migrate.address.clone(), kept);
        self.send(link, &bytes);
        Ok(())
    }

    /// Holds a server up until its MIGRATE is over.
    pub(crate) fn block(
        &mut self,
        server: usize,
        wire: usize,
        script: Option<(Running, u32)>,
        migrate: Migrate,
    ) {
        let serial = self.next_serial();
        let due = self.now + migrate.timeout_us;
        self.servers[server].run.blocked =
            Some(Blocked { wire, script, migrate, serial, late: false });
        self.at(due, Event::MigrateLate(server, serial));
    }

    /// Something came on a connection that a server has to another one.
    pub(crate) fn link_bytes(&mut self, server: usize, wire: usize, bytes: &[u8]) {
        let waits = |blocked: &&mut Blocked| blocked.migrate.link == wire;
        if let Some(blocked) = self.servers[server].run.blocked.as_mut().filter(waits) {
            blocked.migrate.received.extend_from_slice(bytes);
            self.read_migrate(server);
        }
    }

    /// A connection that a server has to another one is gone.
    pub(crate) fn link_lost(&mut self, server: usize, wire: usize) {
        self.servers[server].run.links.retain(|_, (link, _)| *link != wire);
        let waits = |blocked: &Blocked| blocked.migrate.link == wire;
        if self.servers[server].run.blocked.as_ref().is_some_and(waits) {
            self.read_migrate(server);
        }
    }

    pub(crate) fn migrate_late(&mut self, server: usize, serial: u64) {
        let waits = |blocked: &&mut Blocked| blocked.serial == serial;
        if let Some(blocked) = self.servers[server].run.blocked.as_mut().filter(waits) {
            blocked.late = true;
            self.read_migrate(server);
        }
    }

    /// Reads what has come, if the server runs, and ends the MIGRATE if that was all.
    pub(crate) fn read_migrate(&mut self, server: usize) {
        if self.servers[server].frozen {
            return;
        }
        let Some(mut blocked) = self.servers[server].run.blocked.take() else { return };
        let migrate = &mut blocked.migrate;
        let mut progress = false;
        while let Some((reply, length)) = Reply::parse(&migrate.received) {
            migrate.received.drain(..length);
            self.take_restored(server, migrate, reply);
            progress = true;
        }
        if migrate.answered == migrate.before + migrate.keys.len() {
            let outcome = match migrate.failure.take() {
                None => Reply::ok(),
                Some(why) => {
                    // Which database is selected there is taken to be unknown after an error.
                    if let Some(kept) = self.servers[server].run.links.get_mut(&migrate.address) {
                        kept.1 = u32::MAX;
                    }
                    Reply::Error(format!("ERR Target instance replied with error: {why}"))
                }
            };
            let kept = migrate.link;
            self.at(self.now + LINK_IDLE_US, Event::LinkIdle(server, kept));
            return self.migrated(server, blocked, outcome);
        }
        let lost = self.wires[migrate.link].over;
        if !lost && !blocked.late {
            if progress {
                blocked.serial = self.next_serial();
                let due = self.now + migrate.timeout_us;
                self.at(due, Event::MigrateLate(server, blocked.serial));
            }
            self.servers[server].run.blocked = Some(blocked);
            return;
        }
        self.close_link(server, migrate.link);
        let none_read = migrate.answered <= migrate.before && migrate.failure.is_none();
        if lost && !blocked.late && migrate.may_retry && none_read {
            migrate.may_retry = false;
            return match self.send_restores(server, migrate) {
                Ok(()) => {
                    let Blocked { wire, script, migrate, .. } = blocked;
                    self.block(server, wire, script, migrate);
                }
                Err(outcome) => self.migrated(server, blocked, outcome),
            };
        }
        // An error of the target hides that of the connection.
        let outcome = match migrate.failure.take() {
            Some(why) => Reply::Error(format!("ERR Target instance replied with error: {why}")),
            None => io_error("reading"),
        };
        self.migrated(server, blocked, outcome);
    }

    fn take_restored(&mut self, server: usize, migrate: &mut Migrate, reply: Reply) {
        let place = migrate.answered.checked_sub(migrate.before);
        migrate.answered += 1;
        match (place, reply) {
            (_, Reply::Error(why)) => _ = migrate.failure.get_or_insert(why),
            (Some(place), _) if !migrate.copy => {
                drop(self.servers[server].data.remove(&migrate.keys[place]));
            }
            _ => {}
        }
    }

    fn migrated(&mut self, server: usize, blocked: Blocked, outcome: Reply) {
        let Blocked { wire, script, migrate, .. } = blocked;
        let outcome = match outcome {
            Reply::Error(why) if migrate.codis && !why.starts_with("IOERR") => {
                Reply::Error("ERR error on slotsrestore, migration failed".into())
            }
            Reply::Status(_) if migrate.codis => Reply::Int(1),
            outcome => outcome,
        };
        self.invalidate(server, None);
        match script {
            None => self.answer(wire, &outcome),
            Some((running, database)) => {
                let step = self.scripts.go_on(&running, &outcome);
                self.go_on_with_script(server, wire, running, database, step);
            }
        }
        self.wake_server(server);
    }

    /// A server closes a connection that it has to another one.
    pub(crate) fn close_link(&mut self, server: usize, wire: usize) {
        self.servers[server].run.links.retain(|_, (link, _)| *link != wire);
        self.close(wire);
    }

    pub(crate) fn link_idle(&mut self, server: usize, wire: usize) {
        let used = |blocked: &Blocked| blocked.migrate.link == wire;
        if !self.servers[server].run.blocked.as_ref().is_some_and(used) {
            self.close_link(server, wire);
        }
    }
}
