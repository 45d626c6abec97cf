//! Commands on streams.

use super::commands::{Call, Ran, error, wrong_type};
use super::data::{Entry, EntryId, Place, Stream, Value, id_text};
use super::reply::Reply;

impl Call<'_> {
    pub(super) fn stream(&mut self, name: &[u8], args: &[Vec<u8>]) -> Ran {
        let place = self.place(args, if name == b"XINFO" { 2 } else { 1 });
        let (old, expires) = match self.data.get(&place) {
            None => (None, None),
            Some(Entry { value: Value::Stream(stream), expires }) => {
                (Some(stream.clone()), *expires)
            }
            Some(_) => return wrong_type(),
        };
        match name {
            b"XLEN" => Ok(Reply::Int(old.map_or(0, |stream| stream.entries.len() as i64))),
            b"XINFO" => match old {
                None => error("ERR no such key"),
                Some(stream) => Ok(about(&stream)),
            },
            _ if args[2] != b"*" => {
                error("ERR Invalid stream ID specified as stream command argument")
            }
            _ => {
                let mut stream = old.unwrap_or_default();
                let id = stream.add(self.now_ms, args[4].clone());
                self.data.put(place, Value::Stream(stream), expires);
                Ok(Reply::bulk(id_text(id)))
            }
        }
    }
}

/// As XINFO STREAM has it, in so far as anybody asks.
fn about(stream: &Stream) -> Reply {
    Reply::Map(vec![
        Reply::bulk("length"),
        Reply::Int(stream.entries.len() as i64),
        Reply::bulk("last-generated-id"),
        Reply::bulk(id_text(stream.last)),
    ])
}

/// As XREAD has it in either protocol, if there is anything.
pub(super) fn read_after(
    value: &Value,
    (_, key): &Place,
    id: EntryId,
    resp3: bool,
) -> Option<Reply> {
    let Value::Stream(stream) = value else { return None };
    let entries = stream.after(id).iter().map(|(id, value)| {
        let fields = Reply::Array(vec![Reply::bulk("f"), Reply::bulk(value)]);
        Reply::Array(vec![Reply::bulk(id_text(*id)), fields])
    });
    let entries: Vec<Reply> = entries.collect();
    let some = !entries.is_empty();
    let of_key = vec![Reply::bulk(key), Reply::Array(entries)];
    some.then(|| match resp3 {
        true => Reply::Map(of_key),
        false => Reply::Array(vec![Reply::Array(of_key)]),
    })
}
