//! Streams: entries, the last id, groups, consumers and what is pending.
//!
//! What is pending may be of entries that have been deleted since. A server takes no such thing
//! in, so these entries are made on the copy first, and deleted again in the end.

use std::collections::BTreeSet;

use super::chunk::Chunk;
use super::copy::Copying;
use super::{Member, Net, Servers, Trouble, Value};
use crate::drive::moves::net::{Request, request};

/// How many commands are written at a time.
const WRITES_MAX: usize = 200;

/// The id of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Id(u64, u64);

impl Id {
    fn parse(text: &str) -> Option<Id> {
        let (ms, number) = text.split_once('-')?;
        Some(Id(ms.parse().ok()?, number.parse().ok()?))
    }

    fn text(self) -> Vec<u8> {
        format!("{}-{}", self.0, self.1).into_bytes()
    }

    /// The next id that there can be; `None` at the end of all.
    fn next(self) -> Option<Id> {
        match self.1.checked_add(1) {
            Some(number) => Some(Id(self.0, number)),
            None => Some(Id(self.0.checked_add(1)?, 0)),
        }
    }
}

/// What is pending with a consumer of a group.
#[derive(Debug)]
struct Pending {
    group: Vec<u8>,
    consumer: Vec<u8>,
    id: Id,
    delivered_unix_ms: i64,
    times: i64,
}

/// A group, but for what is pending.
#[derive(Debug)]
struct Group {
    name: Vec<u8>,
    last: Vec<u8>,
    entries_read: Option<i64>,
}

impl<M: Member, S: Servers, N: Net> Copying<'_, '_, M, S, N> {
    pub(super) async fn stream(&mut self) -> Result<(), Trouble> {
        let about = self.read(vec![self.xinfo("STREAM", &[])]).await?.pop();
        let about = Fields::of(about).ok_or_else(|| self.garbled("XINFO"))?;
        let groups = self.groups().await?;
        let mut pending = Vec::new();
        for group in &groups {
            pending.extend(self.pending(&group.name).await?);
        }
        self.make().await?;
        let gone = self.entries(pending.iter().map(|one| one.id).collect()).await?;
        for group in &groups {
            self.group(group).await?;
        }
        self.write_all(pending.iter().map(|one| self.claim(one)).collect()).await?;
        let delete = |id: &Id| vec![b"XDEL".to_vec(), self.hidden.to_vec(), id.text()];
        self.write_all(gone.iter().map(delete).collect()).await?;
        self.write_all(vec![self.set_id(&about)?]).await
    }

    fn garbled(&self, what: &str) -> Trouble {
        self.source.refused(what, "not as Redis answers it")
    }

    fn xinfo(&self, what: &str, more: &[&[u8]]) -> Request {
        let mut request = request(&["XINFO", what]);
        request.push(self.way.key.to_vec());
        request.extend(more.iter().map(|part| part.to_vec()));
        request
    }

    /// Makes the hidden stream, so that it is there even without entries.
    async fn make(&mut self) -> Result<(), Trouble> {
        let group = |what: &str, more: &[&str]| {
            let mut request = request(&["XGROUP", what]);
            request.push(self.hidden.to_vec());
            request.extend(more.iter().map(|part| part.as_bytes().to_vec()));
            request
        };
        let made = group("CREATE", &["first", "0", "MKSTREAM"]);
        self.write_all(vec![made, group("DESTROY", &["first"])]).await
    }

    async fn write_all(&mut self, writes: Vec<Request>) -> Result<(), Trouble> {
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let some: Vec<Request> = writes.by_ref().take(WRITES_MAX).collect();
            self.write_and_read(some, Vec::new()).await?;
        }
        Ok(())
    }

    async fn groups(&mut self) -> Result<Vec<Group>, Trouble> {
        let all = self.read(vec![self.xinfo("GROUPS", &[])]).await?.pop();
        let all = all.and_then(Value::into_items).ok_or_else(|| self.garbled("XINFO"))?;
        let group = |value: Value| {
            let fields = Fields::of(Some(value))?;
            Some(Group {
                name: fields.get("name")?.bytes()?.to_vec(),
                last: fields.get("last-delivered-id")?.bytes()?.to_vec(),
                entries_read: fields.get("entries-read").and_then(Value::integer),
            })
        };
        let groups: Option<Vec<Group>> = all.into_iter().map(group).collect();
        groups.ok_or_else(|| self.garbled("XINFO"))
    }

    /// What is pending in a group.
    async fn pending(&mut self, group: &[u8]) -> Result<Vec<Pending>, Trouble> {
        let mut chunk = Chunk::new(self.way.plan.rules.big_step_elements);
        let (mut all, mut from) = (Vec::new(), Some(Id(0, 0)));
        while let Some(first) = from {
            self.lookout.look(self.mover, self.way.plan).await?;
            let mut ask = vec![b"XPENDING".to_vec(), self.way.key.to_vec(), group.to_vec()];
            ask.extend([first.text(), b"+".to_vec(), chunk.text().into_bytes()]);
            let answers = self.read(vec![request(&["TIME"]), ask]).await?;
            let some = read_pending(group, answers).ok_or_else(|| self.garbled("XPENDING"))?;
            chunk.learn(some.len() * 100);
            from = some.last().and_then(|last| last.id.next());
            all.extend(some);
        }
        Ok(all)
    }

    /// Copies the entries, and makes those of `pending` that are no more; answers which.
    async fn entries(&mut self, pending: BTreeSet<Id>) -> Result<Vec<Id>, Trouble> {
        let mut chunk = Chunk::new(self.way.plan.rules.big_step_elements);
        let (mut gone, mut missing) = (Vec::new(), pending);
        let (mut writes, mut from) = (Vec::new(), Some(Id(0, 0)));
        while let Some(first) = from {
            let ask = vec![
                b"XRANGE".to_vec(),
                self.way.key.to_vec(),
                first.text(),
                b"+".to_vec(),
                b"COUNT".to_vec(),
                chunk.text().into_bytes(),
            ];
            let some = self.write_and_read(std::mem::take(&mut writes), vec![ask]).await?.pop();
            let some = read_entries(some).ok_or_else(|| self.garbled("XRANGE"))?;
            chunk.learn(some.iter().flat_map(|(_, fields)| fields).map(Vec::len).sum());
            from = some.last().and_then(|(last, _)| last.next());
            for (id, fields) in some {
                let later = missing.split_off(&id);
                for lost in std::mem::replace(&mut missing, later) {
                    writes.push(self.add(lost, &request(&["gone", ""])));
                    gone.push(lost);
                }
                missing.remove(&id);
                writes.push(self.add(id, &fields));
            }
        }
        writes.extend(missing.iter().map(|lost| self.add(*lost, &request(&["gone", ""]))));
        gone.extend(missing);
        self.write_all(writes).await?;
        Ok(gone)
    }

    fn add(&self, id: Id, fields: &[Vec<u8>]) -> Request {
        let mut request = vec![b"XADD".to_vec(), self.hidden.to_vec(), id.text()];
        request.extend(fields.iter().cloned());
        request
    }

    /// Makes a group with its consumers.
    async fn group(&mut self, group: &Group) -> Result<(), Trouble> {
        let consumers = self.read(vec![self.xinfo("CONSUMERS", &[&group.name])]).await?.pop();
        let consumers = consumers.and_then(Value::into_items);
        let consumers = consumers.ok_or_else(|| self.garbled("XINFO"))?;
        let mut make = request(&["XGROUP", "CREATE"]);
        make.extend([self.hidden.to_vec(), group.name.clone(), group.last.clone()]);
        if let Some(count) = group.entries_read {
            make.extend(request(&["ENTRIESREAD", &count.to_string()]));
        }
        self.write_all(vec![make]).await?;
        let name =
            |consumer: Value| Some(Fields::of(Some(consumer))?.get("name")?.bytes()?.to_vec());
        let names: Option<Vec<Vec<u8>>> = consumers.into_iter().map(name).collect();
        let names = names.ok_or_else(|| self.garbled("XINFO"))?;
        self.consumers(&group.name, &names).await
    }

    async fn consumers(&mut self, group: &[u8], names: &[Vec<u8>]) -> Result<(), Trouble> {
        let create = |name: &Vec<u8>| {
            let mut create = request(&["XGROUP", "CREATECONSUMER"]);
            create.extend([self.hidden.to_vec(), group.to_vec(), name.clone()]);
            create
        };
        let created = self.write_all(names.iter().map(create).collect()).await;
        if !matches!(created, Err(Trouble::Refused { .. })) {
            return created;
        }
        // Before Redis 6.2 a consumer comes into being by asking for what it has pending.
        let ask = |name: &Vec<u8>| {
            let mut ask = request(&["XREADGROUP", "GROUP"]);
            ask.extend([group.to_vec(), name.clone()]);
            ask.extend(request(&["COUNT", "1", "STREAMS"]));
            ask.extend([self.hidden.to_vec(), b"0".to_vec()]);
            ask
        };
        self.write_all(names.iter().map(ask).collect()).await
    }

    fn claim(&self, pending: &Pending) -> Request {
        let Pending { group, consumer, id, delivered_unix_ms, times } = pending;
        let mut claim = vec![b"XCLAIM".to_vec(), self.hidden.to_vec()];
        claim.extend([group.clone(), consumer.clone(), b"0".to_vec(), id.text()]);
        let (time, count) = (delivered_unix_ms.to_string(), times.to_string());
        claim.extend(request(&["TIME", &time, "RETRYCOUNT", &count, "FORCE", "JUSTID"]));
        claim
    }

    /// The last id, and what newer servers count beside it.
    fn set_id(&self, about: &Fields) -> Result<Request, Trouble> {
        let last = about.get("last-generated-id").and_then(Value::bytes);
        let last = last.ok_or_else(|| self.garbled("XINFO"))?;
        let mut set = vec![b"XSETID".to_vec(), self.hidden.to_vec(), last.to_vec()];
        let added = about.get("entries-added").and_then(Value::integer);
        let deleted = about.get("max-deleted-entry-id").and_then(Value::text);
        if let Some((added, deleted)) = added.zip(deleted) {
            set.extend(request(&["ENTRIESADDED", &added.to_string(), "MAXDELETEDID", deleted]));
        }
        Ok(set)
    }
}

/// Names and values, one after the other.
struct Fields(Vec<Value>);

impl Fields {
    fn of(value: Option<Value>) -> Option<Fields> {
        value?.into_items().map(Fields)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let mut pairs = self.0.chunks_exact(2);
        pairs.find(|pair| pair[0].text() == Some(name)).map(|pair| &pair[1])
    }
}

/// Reads the answers of TIME and XPENDING.
fn read_pending(group: &[u8], answers: Vec<Value>) -> Option<Vec<Pending>> {
    let [time, pending] = <[Value; 2]>::try_from(answers).ok()?;
    let time = time.into_items()?;
    let now_ms = time.first()?.integer()? * 1000 + time.get(1)?.integer()? / 1000;
    let one = |value: Value| {
        let [id, consumer, idle, times] = <[Value; 4]>::try_from(value.into_items()?).ok()?;
        Some(Pending {
            group: group.to_vec(),
            consumer: consumer.into_bytes()?,
            id: Id::parse(id.text()?)?,
            delivered_unix_ms: now_ms - idle.integer()?,
            times: times.integer()?,
        })
    };
    pending.into_items()?.into_iter().map(one).collect()
}

/// Reads the answer of XRANGE.
fn read_entries(answer: Option<Value>) -> Option<Vec<(Id, Vec<Vec<u8>>)>> {
    let one = |value: Value| {
        let [id, fields] = <[Value; 2]>::try_from(value.into_items()?).ok()?;
        let fields: Option<Vec<Vec<u8>>> =
            fields.into_items()?.into_iter().map(Value::into_bytes).collect();
        Some((Id::parse(id.text()?)?, fields?))
    };
    answer?.into_items()?.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_and_have_a_next_one() {
        let id = |text| Id::parse(text).expect("it is one");
        assert!(id("9-1") < id("10-0") && id("1-9") < id("1-10"));
        assert_eq!(id("1-1").next(), Some(id("1-2")));
        assert_eq!(Id(1, u64::MAX).next(), Some(id("2-0")));
        assert_eq!(Id(u64::MAX, u64::MAX).next(), None);
        assert_eq!(Id::parse("1"), None);
    }

    #[test]
    fn when_a_pending_entry_was_delivered_follows_from_the_servers_clock() {
        let bytes = |text: &str| Value::Bytes(text.into());
        let time = Value::Array(vec![bytes("1000"), bytes("250000")]);
        let one = vec![bytes("5-1"), bytes("c"), Value::Integer(50), Value::Integer(3)];
        let pending = Value::Array(vec![Value::Array(one)]);
        let read = read_pending(b"g", vec![time, pending]).expect("it is good");
        assert_eq!((read[0].delivered_unix_ms, read[0].times), (1_000_200, 3));
        assert_eq!(read[0].id, Id(5, 1));
    }
}
