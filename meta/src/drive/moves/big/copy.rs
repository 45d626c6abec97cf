//! Copying one key, piece after piece: while one is written the next is read.

use std::time::Duration;

use futures_util::future::join;

use super::chunk::{CHUNK_BYTES, Chunk};
use super::elements::{self, Kind};
use super::{Link, Lookout, Member, Mover, Net, PIECE_MAX, Servers, Trouble, Value, Way};
use crate::drive::moves::net::Request;

/// The servers rest for half as long as a piece took, so that they are there for others, but no longer than this: where the
/// way to them takes the time, they have rested...
const REST_MAX: Duration = Duration::from_micros(250);

/// ...and not before this has come together, as a shorter sleep is not to be had.
const REST_MIN: Duration = Duration::from_millis(1);

/// A copy on its way.
pub(super) struct Copying<'a, 'm, M, S, N: Net> {
    pub(super) mover: &'a Mover<'m, M, S, N>,
    pub(super) way: &'a Way<'a>,
    pub(super) source: &'a mut Link<N::Connection>,
    pub(super) target: &'a mut Link<N::Connection>,
    pub(super) hidden: &'a [u8],
    pub(super) lookout: &'a mut Lookout,
    /// How long the servers are to rest yet.
    pub(super) rest: Duration,
}

impl<M: Member, S: Servers, N: Net> Copying<'_, '_, M, S, N> {
    /// Copies the key of that type. Answers whether such a key can be copied in pieces.
    pub(super) async fn run(&mut self, kind: &[u8]) -> Result<bool, Trouble> {
        match kind {
            b"string" => self.string().await?,
            b"stream" => self.stream().await?,
            kind => match Kind::of(kind) {
                Some(kind) => self.elements(kind).await?,
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    /// Asks the source.
    pub(super) async fn read(&mut self, requests: Vec<Request>) -> Result<Vec<Value>, Trouble> {
        self.source.all_well_in(self.way.database, requests, PIECE_MAX).await
    }

    /// Writes to the target, and asks the source for the next piece meanwhile.
    pub(super) async fn write_and_read(
        &mut self,
        writes: Vec<Request>,
        reads: Vec<Request>,
    ) -> Result<Vec<Value>, Trouble> {
        self.lookout.look(self.mover, self.way.plan).await?;
        let _inside = self.mover.inside(self.way)?;
        let database = self.way.database;
        let written = self.target.all_well_in(database, writes, PIECE_MAX);
        let read = self.source.all_well_in(database, reads, PIECE_MAX);
        // Neither is given up for the other.
        let (written, read) = join(written, read).await;
        written?;
        read
    }

    /// Lists, sets, hashes and sorted sets.
    async fn elements(&mut self, kind: Kind) -> Result<(), Trouble> {
        let mut chunk = Chunk::new(self.way.plan.rules.big_step_elements);
        let mut place = kind.begin();
        let mut reads = vec![kind.read(self.way.key, &place, chunk)];
        let mut writes = Vec::new();
        while !reads.is_empty() {
            let began = self.mover.net.now();
            let answers = self.write_and_read(writes, std::mem::take(&mut reads)).await?;
            self.rest_after(self.mover.net.now().saturating_sub(began)).await;
            let answer = answers.into_iter().next().unwrap_or(Value::Nil);
            let piece = elements::piece(kind, &mut place, answer)
                .ok_or_else(|| self.source.refused(kind.name(), "not as Redis answers it"))?;
            chunk.learn(piece.iter().map(Vec::len).sum());
            writes = kind.writes(self.hidden, &piece);
            if kind == Kind::Hash && self.source.abilities.field_ttl {
                writes.extend(self.field_times(&piece).await?);
            }
            if !place.is_over() {
                reads.push(kind.read(self.way.key, &place, chunk));
            }
        }
        self.write_and_read(writes, Vec::new()).await?;
        Ok(())
    }

    async fn rest_after(&mut self, took: Duration) {
        self.rest += (took / 2).min(REST_MAX);
        if self.rest >= REST_MIN {
            self.mover.net.sleep(std::mem::take(&mut self.rest)).await;
        }
    }

    /// The commands that give fields of a hash their times to live.
    async fn field_times(&mut self, piece: &[Vec<u8>]) -> Result<Vec<Request>, Trouble> {
        let fields: Vec<&Vec<u8>> = piece.iter().step_by(2).collect();
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        let ask = elements::field_times(self.way.key, &fields);
        let times = self.read(vec![ask]).await?.pop().and_then(Value::into_items);
        let times = times.unwrap_or_default();
        let expiring = fields.iter().zip(&times).filter_map(|(field, time)| {
            let time = time.integer().filter(|time| *time > 0)?;
            Some(elements::expire_field(self.hidden, field, time))
        });
        let expiring: Vec<Request> = expiring.collect();
        if !expiring.is_empty() && !self.target.abilities.field_ttl {
            let what = "HPEXPIREAT";
            return Err(self
                .target
                .refused(what, "it knows no times to live of fields: upgrade it"));
        }
        Ok(expiring)
    }

    /// Strings are one command on the target, whose argument comes in pieces.
    async fn string(&mut self) -> Result<(), Trouble> {
        let length = self.read(vec![vec![b"STRLEN".to_vec(), self.way.key.to_vec()]]).await?;
        let length = length.first().and_then(Value::integer).and_then(|n| u64::try_from(n).ok());
        let length = length.unwrap_or(0);
        let head = vec![b"SET".to_vec(), self.hidden.to_vec()];
        self.target.begin(self.way.database, head, length).await?;
        let streamed = self.stream_string(length).await;
        if streamed.is_err() {
            // The rest of the command will not come.
            self.target.lost("a command was given up");
        }
        streamed
    }

    async fn stream_string(&mut self, length: u64) -> Result<(), Trouble> {
        let mut sent = 0;
        let mut piece = Vec::new();
        while sent < length {
            self.lookout.look(self.mover, self.way.plan).await?;
            let _inside = self.mover.inside(self.way)?;
            let end = (sent + CHUNK_BYTES as u64).min(length);
            let range = [sent.to_string(), (end - 1).to_string()].map(String::into_bytes);
            let [from, to] = range;
            let ask = vec![b"GETRANGE".to_vec(), self.way.key.to_vec(), from, to];
            let read = self.source.all_well_in(self.way.database, vec![ask], PIECE_MAX);
            let (pushed, read) = join(self.target.push(piece, PIECE_MAX), read).await;
            pushed?;
            piece = read?.pop().and_then(Value::into_bytes).unwrap_or_default();
            // One that was touched meanwhile; the length was promised.
            piece.resize(usize::try_from(end - sent).unwrap_or(usize::MAX), 0);
            sent = end;
        }
        let _inside = self.mover.inside(self.way)?;
        self.target.push(piece, PIECE_MAX).await?;
        self.target.finish("SET", PIECE_MAX).await
    }
}
