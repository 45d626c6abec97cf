//! How a server gets from the bytes of its connections to answers.

use super::commands::{self, Call, number};
use super::lua::{Running, Step};
use super::reply::{Reply, Request, parse_request, shown};
use super::{Client, Near};
use crate::plan::Bug;
use crate::world::{Event, World};
use codis_proto::moves;

/// The longest time that one request takes.
const REQUEST_US_MAX: u64 = 20;

/// Commands that clients of a server may be told of by COMMAND INFO, and of one of Codis.
const KNOWN: [&[u8]; 6] = [b"eval", b"scan", b"migrate", b"memory", b"unlink", b"client"];
const KNOWN_TO_CODIS: [&[u8]; 7] =
    [b"eval", b"scan", b"migrate", b"client", b"hset", b"slotsmgrttagone", b"slotsrestore"];

impl World {
    /// A turn of a server is due.
    pub(crate) fn wake_server(&mut self, server: usize) {
        let target = &mut self.servers[server];
        if !target.run.scheduled {
            target.run.scheduled = true;
            self.soon(REQUEST_US_MAX, Event::Serve(server));
        }
    }

    /// A server takes what its kernel has accepted, and runs one request of any of its connections.
    pub(crate) fn serve(&mut self, server: usize) {
        let target = &mut self.servers[server];
        target.run.scheduled = false;
        if target.frozen || target.down || target.run.blocked.is_some() {
            return;
        }
        self.end_turn(server);
        let target = &mut self.servers[server];
        while let Some(wire) = target.run.backlog.pop_front() {
            target.run.last_id += 1;
            target.run.accepted.insert(target.run.last_id, wire);
            self.wires[wire].client =
                Client { id: target.run.last_id, command: "NULL".into(), ..Client::default() };
        }
        let mut ready: Vec<(usize, Option<(Request, usize)>)> = Vec::new();
        let accepted: Vec<usize> = target.run.accepted.values().copied().collect();
        for wire in accepted {
            let seen = &self.wires[wire];
            let ended = seen.ended && seen.flying.is_empty();
            if seen.client.waits {
                continue;
            }
            if seen.client.waiting.is_some() {
                // It reads nothing, but it sees the end.
                ready.extend(ended.then_some((wire, None)));
                continue;
            }
            match parse_request(&seen.input) {
                Err(why) => return self.fail(why),
                Ok(Some(request)) => ready.push((wire, Some(request))),
                Ok(None) if ended => ready.push((wire, None)),
                Ok(None) => {}
            }
        }
        if ready.is_empty() {
            return;
        }
        if ready.len() > 1 {
            self.wake_server(server);
        }
        let (wire, request) = ready.swap_remove(self.rng.usize(..ready.len()));
        match request {
            None => self.kill(wire),
            Some((request, length)) => {
                self.wires[wire].input.drain(..length);
                let near = self.wires[wire].near;
                self.tell(|| format!("server {server} runs for {near:?}: {}", shown(&request)));
                if self.is_late(wire) && self.plan.codis {
                    // What comes so late may win over what has moved: it is promised for MIGRATE alone that it does not.
                    self.kill(wire);
                    return self.wake_server(server);
                }
                self.note_late(server, wire, &request);
                let reply = self.take_request(server, wire, &request);
                self.invalidate(server, Some(wire));
                if let Some(reply) = reply {
                    self.answer(wire, &reply);
                }
                self.serve_waiting(server);
                self.invalidate(server, None);
                self.wake_server(server);
            }
        }
    }

    /// What a server does by itself between requests.
    pub(crate) fn end_turn(&mut self, server: usize) {
        let now_ms = self.now_ms();
        self.servers[server].data.expire(now_ms);
        self.invalidate(server, None);
        self.tell_all(server);
    }

    /// A proxy has given a connection up, and what it had sent runs all the same. Its client was told that nobody knows; but it may
    /// leave a key on a server that its slot has left meanwhile.
    fn note_late(&mut self, server: usize, wire: usize, request: &Request) {
        if self.is_late(wire) {
            let database = self.wires[wire].client.database;
            let places = request[1..].iter().map(|key| (server, (database, key.clone())));
            self.late.extend(places);
        }
    }

    fn is_late(&self, wire: usize) -> bool {
        let target = &self.wires[wire];
        target.over && matches!(target.near, Near::Backend { .. })
    }

    /// A reply goes on its way.
    pub(crate) fn answer(&mut self, wire: usize, reply: &Reply) {
        let target = &mut self.wires[wire];
        if !target.killed {
            match target.client.resp3 {
                true => reply.encode3(&mut target.back),
                false => reply.encode(&mut target.back),
            }
            self.wake_returning(wire);
            self.tell(|| format!("  answered on {wire}: {reply:?}"));
            self.push_behind_answer(wire);
        }
    }

    /// Runs a request of a connection; `None` where the answer takes its time.
    fn take_request(&mut self, server: usize, wire: usize, args: &Request) -> Option<Reply> {
        let name = args[0].to_ascii_uppercase();
        let queues = self.wires[wire].client.transaction.is_some();
        if queues && self.splits(wire) && name != b"EXEC" {
            let reply = self.simple(server, wire, args);
            self.wires[wire].client.ran.push(reply);
            return Some(Reply::Status("QUEUED".into()));
        }
        let client = &mut self.wires[wire].client;
        client.command = String::from_utf8_lossy(&args[0]).to_ascii_lowercase();
        match (name.as_slice(), &mut client.transaction) {
            (b"EXEC", Some(_)) => return Some(self.execute(server, wire)),
            (b"DISCARD", transaction) => {
                *transaction = None;
                client.watched.clear();
                return Some(Reply::ok());
            }
            (_, Some(transaction)) => {
                transaction.push(args.clone());
                return Some(Reply::Status("QUEUED".into()));
            }
            (b"MULTI", transaction) => {
                *transaction = Some(Vec::new());
                return Some(Reply::ok());
            }
            (b"WATCH", _) => {
                for key in &args[1..] {
                    let place = (client.database, key.clone());
                    let changes = self.servers[server].data.changes(&place);
                    client.watched.push((place, changes));
                }
                return Some(Reply::ok());
            }
            (b"UNWATCH", _) => {
                client.watched.clear();
                return Some(Reply::ok());
            }
            (b"MIGRATE", _) => {
                let database = client.database;
                return match self.begin_migrate(server, database, args) {
                    Err(reply) => Some(reply),
                    Ok(migrate) => {
                        self.block(server, wire, None, migrate);
                        None
                    }
                };
            }
            (b"EVAL" | b"EVALSHA" | b"SCRIPT", _) => {
                return self.script(server, wire, &name, args);
            }
            (b"WAIT", _) => return self.wait_for_replica(server, wire, args),
            (b"BLPOP" | b"BLMOVE" | b"XREAD", _) => return self.begin_to_wait(server, wire, args),
            _ => {}
        }
        Some(self.simple(server, wire, args))
    }

    /// A planted bug: transactions of proxies are none.
    fn splits(&self, wire: usize) -> bool {
        let of_proxy = matches!(self.wires[wire].near, Near::Backend { .. });
        self.plan.bug == Bug::TransactionSplit && of_proxy
    }

    fn execute(&mut self, server: usize, wire: usize) -> Reply {
        let client = &mut self.wires[wire].client;
        let requests = client.transaction.take().unwrap_or_default();
        let watched = std::mem::take(&mut client.watched);
        let data = &self.servers[server].data;
        let changed = watched.iter().any(|(place, changes)| data.changes(place) != *changes);
        if changed && self.plan.bug != Bug::WatchForgotten {
            return Reply::Nil;
        }
        if self.splits(wire) {
            return Reply::Array(std::mem::take(&mut self.wires[wire].client.ran));
        }
        let replies = requests.iter().map(|request| {
            let is_script = request[0].eq_ignore_ascii_case(b"EVAL");
            let reply = match is_script {
                true => self.script_at_once(server, wire, request),
                false => self.simple(server, wire, request),
            };
            self.invalidate(server, Some(wire));
            reply
        });
        Reply::Array(replies.collect())
    }

    /// What is over at once.
    fn simple(&mut self, server: usize, wire: usize, args: &Request) -> Reply {
        let name = args[0].to_ascii_uppercase();
        let client = &mut self.wires[wire].client;
        match name.as_slice() {
            b"AUTH" if self.plan.codis => Reply::ok(),
            b"AUTH" => Reply::Error(
                "ERR AUTH <password> called without any password configured for the default user."
                    .into(),
            ),
            b"SELECT" => match number(&args[1]) {
                Ok(database @ 0..16) => {
                    client.database = database as u32;
                    Reply::ok()
                }
                _ => Reply::Error("ERR DB index is out of range".into()),
            },
            b"HELLO" => {
                client.resp3 = args.get(1).is_some_and(|version| version == b"3");
                Reply::Map(vec![Reply::bulk("server"), Reply::bulk("redis")])
            }
            b"CLIENT" => self.client_command(server, wire, args),
            b"BLPOP" | b"BLMOVE" => self.try_at_once(server, wire, args),
            b"INFO" => Reply::bulk(self.info(server)),
            b"COMMAND" => {
                let known: &[&[u8]] = if self.plan.codis { &KNOWN_TO_CODIS } else { &KNOWN };
                // All of one field, as HSET was.
                let about = |name: &Vec<u8>| match known.contains(&name.as_slice()) {
                    true => Reply::Array(vec![Reply::bulk(name), Reply::Int(4)]),
                    false => Reply::Nil,
                };
                Reply::Array(args[2..].iter().map(about).collect())
            }
            _ => {
                let database = client.database;
                let reply = self.on_data(server, wire, database, args);
                self.remember_reads(server, wire, args);
                reply
            }
        }
    }

    fn on_data(&mut self, server: usize, wire: usize, database: u32, args: &Request) -> Reply {
        if self.hides_leftovers(server, wire, args) {
            return Reply::Int(args.len() as i64 - 1);
        }
        if self.plan.codis && is_too_new(args) {
            return Reply::Error("ERR unknown command".into());
        }
        let now_ms = self.now_ms();
        let target = &mut self.servers[server];
        let order = u64::from(target.group) * 77 + target.runs;
        let mut call = Call {
            data: &mut target.data,
            database,
            now_ms,
            full: target.full,
            rng: &mut self.rng,
            order,
        };
        match commands::run(&mut call, args) {
            Some(reply) => self.hide_strays(server, wire, args, reply),
            None => {
                self.fail(format!(
                    "a server was sent what the model does not know: {}",
                    shown(args)
                ));
                Reply::Error("ERR unknown command".into())
            }
        }
    }

    /// Whether a leader's connection asks of keys whose slot is about to come to the server.
    fn is_coming(&self, server: usize, wire: usize, key: &[u8]) -> bool {
        let of_leader = matches!(self.wires[wire].near, Near::Leader { .. });
        of_leader && self.is_pending_target(self.servers[server].group, key)
    }

    /// A planted bug: leftovers stay, and are said to have gone.
    fn hides_leftovers(&self, server: usize, wire: usize, args: &Request) -> bool {
        self.plan.bug == Bug::LeftoversKept
            && args[0].eq_ignore_ascii_case(b"UNLINK")
            && args.get(1).is_some_and(|key| self.is_coming(server, wire, key))
    }

    /// A planted bug: the walk of a target finds nothing of the slots that are to come.
    fn hide_strays(&self, server: usize, wire: usize, args: &Request, mut reply: Reply) -> Reply {
        if self.plan.bug == Bug::TargetNotWalked
            && args[0].eq_ignore_ascii_case(b"SCAN")
            && let Reply::Array(parts) = &mut reply
            && let Some(Reply::Array(keys)) = parts.get_mut(1)
        {
            keys.retain(|key| match key {
                Reply::Bulk(key) => !self.is_coming(server, wire, key),
                _ => true,
            });
        }
        reply
    }

    fn client_command(&mut self, server: usize, wire: usize, args: &Request) -> Reply {
        let sub = args.get(1).map(|sub| sub.to_ascii_uppercase()).unwrap_or_default();
        let client = &mut self.wires[wire].client;
        client.command = format!("client|{}", String::from_utf8_lossy(&sub).to_ascii_lowercase());
        match sub.as_slice() {
            b"ID" | b"UNBLOCK" if self.plan.codis => Reply::Error(
                "ERR Syntax error, try CLIENT (LIST | KILL | GETNAME | SETNAME | PAUSE | REPLY)"
                    .into(),
            ),
            b"SETNAME" => {
                client.name = String::from_utf8_lossy(&args[2]).into_owned();
                Reply::ok()
            }
            b"ID" => Reply::Int(client.id),
            b"TRACKING" => self.begin_to_track(wire, args),
            b"LIST" => {
                let line = |(id, wire): (&i64, &usize)| {
                    let client = &self.wires[*wire].client;
                    let Client { name, command, database, .. } = client;
                    format!(
                        "id={id} addr=10.0.0.9:{wire} laddr=10.0.0.1:6379 fd=8 name={name} age=1 idle=0 flags=N \
                         db={database} sub=0 psub=0 ssub=0 multi=-1 cmd={command} user=default redir=-1 resp=2\n"
                    )
                };
                let lines: String = self.servers[server].run.accepted.iter().map(line).collect();
                Reply::bulk(lines)
            }
            b"KILL" if args[2].eq_ignore_ascii_case(b"ID") => {
                let id = number(&args[3]).unwrap_or(0);
                let found = self.servers[server].run.accepted.get(&id).copied();
                if let Some(found) = found {
                    self.kill(found);
                }
                Reply::Int(i64::from(found.is_some()))
            }
            b"UNBLOCK" => {
                let error = args.get(3).is_some_and(|how| how.eq_ignore_ascii_case(b"ERROR"));
                self.unblock_client(server, number(&args[2]).unwrap_or(0), error)
            }
            _ => {
                self.fail(format!(
                    "a server was sent what the model does not know: {}",
                    shown(args)
                ));
                Reply::Nil
            }
        }
    }

    fn info(&self, server: usize) -> String {
        let target = &self.servers[server];
        let replicas = match target.replica {
            Some(_) => {
                "connected_slaves:1\r\nslave0:ip=10.0.0.2,port=1,state=online,offset=1,lag=0\r\n"
            }
            None => "connected_slaves:0\r\n",
        };
        let mut info = format!(
            "# Server\r\nredis_version:7.0.15\r\nrun_id:{}\r\n# Memory\r\nused_memory:1000000\r\nmaxmemory:0\r\n\
             # Replication\r\nrole:master\r\n{replicas}master_replid:{}\r\nmaster_repl_offset:1\r\n# Keyspace\r\n",
            target.run_id(),
            target.run_id(),
        );
        for database in 0..16 {
            let keys = target.data.of_database(database).count();
            if keys > 0 {
                info += &format!("db{database}:keys={keys},expires=0,avg_ttl=0\r\n");
            }
        }
        info
    }

    fn script(&mut self, server: usize, wire: usize, name: &[u8], args: &Request) -> Option<Reply> {
        let text: Vec<u8> = match name {
            b"EVAL" => args[1].clone(),
            b"EVALSHA" if args[1] == moves::SCRIPT_SHA1.as_bytes() => {
                moves::SCRIPT.as_bytes().to_vec()
            }
            b"SCRIPT" if args[1].eq_ignore_ascii_case(b"LOAD") => args[2].clone(),
            _ => {
                self.fail(format!(
                    "a server was sent what the model does not know: {}",
                    shown(args)
                ));
                return None;
            }
        };
        let known = &mut self.servers[server].run.scripts;
        if name == b"EVALSHA" && !known.contains(&text) {
            return Some(Reply::Error("NOSCRIPT No matching script. Please use EVAL.".into()));
        }
        known.insert(text.clone());
        if name == b"SCRIPT" {
            return Some(Reply::bulk(moves::SCRIPT_SHA1));
        }
        let text = self.plan.bug.in_script(text);
        let count = number(&args[2]).unwrap_or(0) as usize;
        let (keys, values) = args[3..].split_at(count);
        let (running, step) = self.scripts.begin(&text, keys, values);
        let database = self.wires[wire].client.database;
        self.go_on_with_script(server, wire, running, database, step);
        None
    }

    /// Runs a script of a transaction, which moves nothing.
    fn script_at_once(&mut self, server: usize, wire: usize, args: &Request) -> Reply {
        let count = number(&args[2]).unwrap_or(0) as usize;
        let (keys, values) = args[3..].split_at(count);
        let (running, mut step) = self.scripts.begin(&args[1], keys, values);
        let database = self.wires[wire].client.database;
        loop {
            match step {
                Step::Answers(reply) => return reply,
                Step::Calls(call) => {
                    let reply = self.on_data(server, wire, database, &call);
                    step = self.scripts.go_on(&running, &reply);
                }
            }
        }
    }

    /// Runs a script until it answers, or waits for a MIGRATE.
    pub(crate) fn go_on_with_script(
        &mut self,
        server: usize,
        wire: usize,
        running: Running,
        mut database: u32,
        mut step: Step,
    ) {
        loop {
            let args = match step {
                Step::Answers(reply) => return self.answer(wire, &reply),
                Step::Calls(args) => args,
            };
            let reply = match args[0].to_ascii_uppercase().as_slice() {
                b"SELECT" => {
                    database = number(&args[1]).unwrap_or(0) as u32;
                    Reply::ok()
                }
                b"TIME" => {
                    let parts = [self.now / 1_000_000, self.now % 1_000_000];
                    Reply::Array(parts.map(|part| Reply::bulk(part.to_string())).into())
                }
                b"MIGRATE" => match self.begin_migrate(server, database, &args) {
                    Err(reply) => reply,
                    Ok(migrate) => {
                        return self.block(server, wire, Some((running, database)), migrate);
                    }
                },
                b"SLOTSMGRTONE" => match self.begin_hand_on(server, database, &args) {
                    Err(reply) => reply,
                    Ok(migrate) => {
                        return self.block(server, wire, Some((running, database)), migrate);
                    }
                },
                _ => self.on_data(server, wire, database, &args),
            };
            step = self.scripts.go_on(&running, &reply);
        }
    }
}

/// Whether Redis 3.2 does not know a command, or takes fewer arguments.
fn is_too_new(args: &Request) -> bool {
    match args[0].to_ascii_uppercase().as_slice() {
        b"UNLINK" | b"MEMORY" => true,
        b"FLUSHDB" => args.len() > 1,
        b"HSET" => args.len() != 4,
        _ => false,
    }
}
