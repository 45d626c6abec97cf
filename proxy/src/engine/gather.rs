//! Requests whose keys live on several backends: split by backend, put together again.

use super::backend::{Body, InFlight, Kind};
use super::dispatch::{Flow, since_us};
use super::route::{Way, is_reserved};
use super::{CutReason, Engine};
use crate::command::{CommandId, Split};
use crate::resp::reply::{Scan, Scanner, short_element};
use crate::resp::{Request, write};
use crate::slots;

/// Parts of at least this many bytes are counted against the session's limit as they come. Smaller
/// ones of a request cannot pass it: there are not that many backends.
const LARGE_PART_BYTES: usize = 16 * 1024;

/// How many lists of parts a shard keeps for the next split requests...
const SPARE_MAX: usize = 1024;

/// ...with how many bytes, each at most...
const SPARE_BYTES_MAX: usize = 16 * 1024;

/// ...and all together.
const SPARE_BYTES_TOTAL: usize = 1 << 20;

/// A split request that waits for its parts.
#[derive(Debug)]
pub(super) struct Gather {
    pub(super) session: u32,
    pub(super) sequence: u32,
    pub(super) silent: bool,
    command: CommandId,
    since_us: u32,
    pub(super) missing: u16,
    split: Split,
    parts: Parts,
    /// DEL, EXISTS and their like.
    sum: i64,
    /// The first error that a part met.
    error: Option<Vec<u8>>,
}

/// What MGET needs to put its values in order.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// For each key, the part that has its value.
    order: Vec<u16>,
    /// Each part's reply, and how much of it is used. There may be more of them than parts.
    replies: Vec<(Vec<u8>, usize)>,
}

/// Parts that no request uses, with their memory.
#[derive(Debug, Default)]
pub(super) struct SpareParts {
    list: Vec<Parts>,
    bytes: usize,
}

impl SpareParts {
    fn take(&mut self) -> Parts {
        let parts = self.list.pop().unwrap_or_default();
        self.bytes -= parts.capacity();
        parts
    }

    fn put(&mut self, parts: Parts) {
        let bytes = parts.capacity();
        if self.list.len() < SPARE_MAX
            && bytes <= SPARE_BYTES_MAX
            && self.bytes + bytes <= SPARE_BYTES_TOTAL
        {
            self.bytes += bytes;
            self.list.push(parts);
        }
    }
}

/// How a request is split: one part a backend.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The parts' backends.
    backends: Vec<u32>,
    /// For each key (or key and value), its part.
    order: Vec<u16>,
    /// How many arguments each part has.
    counts: Vec<usize>,
}

impl Engine {
    /// Runs MGET, MSET, DEL, UNLINK, EXISTS or TOUCH.
    #[inline(never)]
    pub(super) fn split(
        &mut self,
        session: u32,
        command: CommandId,
        split: Split,
        request: &Request<'_>,
    ) -> Flow {
        let stride = if split == Split::Mset { 2 } else { 1 };
        if !(request.len() - 1).is_multiple_of(stride) {
            let name = command.command().name;
            let text = format!("ERR wrong number of arguments for '{name}' command");
            return self.reject(session, command, &text);
        }
        let mut plan = std::mem::take(&mut self.plan);
        let flow = self.split_by(session, command, split, request, stride, &mut plan);
        self.plan = plan;
        flow
    }

    fn split_by(
        &mut self,
        session: u32,
        command: CommandId,
        split: Split,
        request: &Request<'_>,
        stride: usize,
        plan: &mut Plan,
    ) -> Flow {
        if let Err(flow) = self.plan(session, command, request, stride, plan) {
            return flow;
        }
        if let [backend] = plan.backends[..] {
            return self.send(session, backend, command, request);
        }
        for &backend in &plan.backends {
            if self.is_full(backend) {
                return self.wait_for(session, backend);
            }
        }
        let parts = match split {
            Split::Mget => {
                let mut parts = self.spare_parts.take();
                parts.prepare(plan);
                parts
            }
            Split::Mset | Split::Sum => Parts::default(),
        };
        let target = &mut self.sessions[session as usize];
        let next = target.next;
        if let Some(tracking) = target.own.as_mut().and_then(|own| own.tracking.as_mut()) {
            tracking.splits(next);
        }
        let silent = target.wants_silence();
        target.references += 1;
        let gather = self.gathers.insert(Gather {
            session,
            sequence: target.sequence(),
            silent,
            command,
            since_us: since_us(self.now_us),
            missing: plan.backends.len() as u16,
            split,
            parts,
            sum: 0,
            error: None,
        });
        self.send_parts(gather as u32, command, request, stride, plan);
        Flow::Next
    }

    /// The way of one key that has no shortcut.
    #[cold]
    fn route_part(&mut self, session: u32, command: CommandId, slot: u16) -> Way {
        let lane = self.sessions[session as usize].lane();
        let read_only = crate::command::is_read_only(command);
        let replicas_too = self.may_read_replicas(session, read_only);
        self.route(slot, lane, replicas_too)
    }

    #[cold]
    fn part_moved_to(&mut self, session: u32, slot: u16, key: &[u8]) -> Option<u32> {
        let lane = self.sessions[session as usize].lane();
        self.moved_to(slot, lane, key)
    }

    /// Finds each key's backend. Nothing is sent unless every key can be.
    fn plan(
        &mut self,
        session: u32,
        command: CommandId,
        request: &Request<'_>,
        stride: usize,
        plan: &mut Plan,
    ) -> Result<(), Flow> {
        let row = self.sessions[session as usize].row;
        plan.backends.clear();
        plan.order.clear();
        let mut unmoved = Vec::new();
        for key in (1..request.len()).step_by(stride) {
            let slot = slots::slot(request.arg(key));
            let found = match self.routes.shortcut(slot, row) {
                Some(backend) => Way::To(backend),
                None if is_reserved(request.arg(key)) => {
                    return Err(self.refuse_reserved(session, command));
                }
                None => self.route_part(session, command, slot),
            };
            let backend = match found {
                Way::To(backend) => backend,
                Way::Follow => match self.part_moved_to(session, slot, request.arg(key)) {
                    Some(backend) => backend,
                    None => {
                        unmoved.push(request.arg(key));
                        continue;
                    }
                },
                Way::Nowhere(reason) => return Err(self.no_route(session, command, slot, reason)),
            };
            if !self.backends[backend as usize].takes_requests() {
                return Err(self.refuse_down(session, command, backend));
            }
            let part = match plan.backends.iter().position(|known| *known == backend) {
                Some(part) => part,
                None => {
                    plan.backends.push(backend);
                    plan.backends.len() - 1
                }
            };
            plan.order.push(part as u16);
        }
        if !unmoved.is_empty() {
            let reads = crate::command::is_read_only(command) && request.len() == 2;
            let read = reads.then_some(request);
            return Err(self.wait_for_keys(session, command, &unmoved, read));
        }
        Ok(())
    }

    /// Writes every part in one pass over the keys.
    fn send_parts(
        &mut self,
        gather: u32,
        command: CommandId,
        request: &Request<'_>,
        stride: usize,
        plan: &mut Plan,
    ) {
        plan.counts.clear();
        plan.counts.resize(plan.backends.len(), 0);
        for &part in &plan.order {
            plan.counts[usize::from(part)] += stride;
        }
        for (part, (&backend, &count)) in plan.backends.iter().zip(&plan.counts).enumerate() {
            let entry = InFlight {
                // A part's reply finds its gather, which knows the session.
                session: part as u32,
                sequence: gather,
                since_us: since_us(self.now_us),
                offset: 0,
                command,
                kind: Kind::Part,
            };
            if self.caching.is_some() {
                self.push_caching(backend);
            }
            self.push(backend, entry, Body::Header { args: 1 + count, name: request.arg(0) });
        }
        for (i, &part) in plan.order.iter().enumerate() {
            let backend = &mut self.backends[plan.backends[usize::from(part)] as usize];
            backend.append(&mut self.pool, request.raw(1 + i * stride, stride));
        }
    }

    /// Takes a part's reply, or the error in its stead; the last one completes the request.
    pub(super) fn on_part(&mut self, index: u32, part: u16, reply: &[u8]) {
        let gather = &mut self.gathers[index as usize];
        gather.missing -= 1;
        gather.take(part, reply);
        if gather.missing > 0 {
            // A part of this size came in pieces, and each piece asks the same.
            if reply.len() >= LARGE_PART_BYTES && gather.held() > self.settings.output_bytes_hard {
                let session = gather.session;
                self.cut(session, CutReason::Output);
            }
            return;
        }
        let mut gather = self.gathers.remove(index as usize);
        let mut whole = std::mem::take(&mut self.whole);
        gather.whole(&mut whole);
        self.record(gather.command, gather.since_us, &whole);
        self.deliver(gather.session, gather.sequence, if gather.silent { b"" } else { &whole });
        whole.clear();
        if whole.capacity() <= SPARE_BYTES_MAX {
            self.whole = whole;
        }
        if gather.split == Split::Mget {
            self.spare_parts.put(gather.parts);
        }
    }
}

impl Parts {
    /// Makes room for the replies of a plan's parts.
    fn prepare(&mut self, plan: &Plan) {
        self.order.clone_from(&plan.order);
        let count = plan.backends.len().max(self.replies.len());
        self.replies.resize_with(count, Default::default);
        for (reply, used) in &mut self.replies {
            reply.clear();
            *used = 0;
        }
    }

    /// How much memory it has.
    fn capacity(&self) -> usize {
        let replies: usize = self.replies.iter().map(|(reply, _)| reply.capacity()).sum();
        self.order.capacity() * size_of::<u16>()
            + self.replies.capacity() * size_of::<(Vec<u8>, usize)>()
            + replies
    }

    /// Writes the values in the order of their keys; answers whether they were all there.
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        let bytes: usize = self.replies.iter().map(|(reply, _)| reply.len()).sum();
        out.reserve(bytes + 16);
        write::array(out, self.order.len());
        for (reply, used) in &mut self.replies {
            *used = header_len(reply);
        }
        // Each part's values stand in the order of its keys, so one position a part is enough.
        for &part in &self.order {
            let (reply, used) = &mut self.replies[usize::from(part)];
            let values = &reply[*used..];
            let end = match short_element(values) {
                Some(end) => end,
                None => match Scanner::default().scan(values) {
                    Ok(Scan::End(end)) => end,
                    _ => return false,
                },
            };
            out.extend_from_slice(&values[..end]);
            *used += end;
        }
        true
    }
}

impl Gather {
    /// Bytes of parts that wait for the others.
    pub(super) fn held(&self) -> usize {
        self.parts.replies.iter().map(|(reply, _)| reply.len()).sum()
    }

    fn take(&mut self, part: u16, reply: &[u8]) {
        if reply.first() == Some(&b'-') {
            self.error.get_or_insert_with(|| reply.to_vec());
            return;
        }
        match self.split {
            Split::Mget => self.parts.replies[usize::from(part)].0.extend_from_slice(reply),
            Split::Sum => self.sum += integer(reply),
            Split::Mset => {}
        }
    }

    /// Writes the reply to the whole request.
    fn whole(&mut self, out: &mut Vec<u8>) {
        match (&self.error, self.split) {
            (Some(error), _) => out.extend_from_slice(error),
            (None, Split::Sum) => write::integer(out, self.sum),
            (None, Split::Mset) => out.extend_from_slice(b"+OK\r\n"),
            (None, Split::Mget) => {
                if !self.parts.write(out) {
                    out.clear();
                    let text = "ERR a server answered MGET with fewer values than it was asked for";
                    write::error(out, text);
                }
            }
        }
    }
}

/// The length of an array's header.
fn header_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1)
}

/// The number in `:n\r\n`; 0 for anything else.
fn integer(reply: &[u8]) -> i64 {
    let text = reply.strip_prefix(b":").and_then(|text| text.strip_suffix(b"\r\n"));
    text.and_then(crate::resp::request::strict_integer).unwrap_or(0)
}
