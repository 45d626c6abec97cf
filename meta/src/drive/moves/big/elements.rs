//! Reading and writing pieces of lists, sets, hashes and sorted sets.

use super::chunk::Chunk;
use crate::drive::moves::net::{Request, Value};

/// The types that are elements and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Set,
    Hash,
    Zset,
}

/// Where the reading is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The next index, and how many were asked for.
    Index(u64),
    /// The cursor of a SCAN.
    Cursor(Vec<u8>),
    Over,
}

impl Place {
    pub(super) fn is_over(&self) -> bool {
        *self == Place::Over
    }
}

impl Kind {
    /// By what TYPE says.
    pub(super) fn of(name: &[u8]) -> Option<Kind> {
        Some(match name {
            b"list" => Kind::List,
            b"set" => Kind::Set,
            b"hash" => Kind::Hash,
            b"zset" => Kind::Zset,
            _ => return None,
        })
    }

    /// The command that reads.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::List => "LRANGE",
            Kind::Set => "SSCAN",
            Kind::Hash => "HSCAN",
            Kind::Zset => "ZSCAN",
        }
    }

    pub(super) fn begin(self) -> Place {
        match self {
            Kind::List => Place::Index(0),
            _ => Place::Cursor(b"0".to_vec()),
        }
    }

    /// The question for the next piece.
    pub(super) fn read(self, key: &[u8], place: &Place, chunk: Chunk) -> Request {
        let mut request = vec![self.name().into(), key.to_vec()];
        match place {
            Place::Index(from) => {
                let to = from + chunk.elements() - 1;
                request.extend([from.to_string().into_bytes(), to.to_string().into_bytes()]);
            }
            Place::Cursor(cursor) => {
                request.extend([cursor.clone(), b"COUNT".to_vec(), chunk.text().into_bytes()]);
            }
            Place::Over => {}
        }
        request
    }

    /// The commands that write a piece; none for an empty one.
    pub(super) fn writes(self, hidden: &[u8], piece: &[Vec<u8>]) -> Vec<Request> {
        if piece.is_empty() {
            return Vec::new();
        }
        let command = match self {
            Kind::List => "RPUSH",
            Kind::Set => "SADD",
            Kind::Hash => "HSET",
            Kind::Zset => "ZADD",
        };
        let mut request = vec![command.into(), hidden.to_vec()];
        match self {
            // Read as member and score, written as score and member.
            Kind::Zset => {
                request.extend(
                    piece.chunks_exact(2).flat_map(|pair| [pair[1].clone(), pair[0].clone()]),
                );
            }
            _ => request.extend(piece.iter().cloned()),
        }
        vec![request]
    }
}

/// The elements in an answer; sets the place to what follows. `None` for what is no such answer.
pub(super) fn piece(kind: Kind, place: &mut Place, answer: Value) -> Option<Vec<Vec<u8>>> {
    let items = answer.into_items()?;
    let Place::Index(from) = *place else {
        let [cursor, items] = <[Value; 2]>::try_from(items).ok()?;
        let cursor = cursor.into_bytes()?;
        *place = if cursor == b"0" { Place::Over } else { Place::Cursor(cursor) };
        let items: Option<Vec<Vec<u8>>> =
            items.into_items()?.into_iter().map(Value::into_bytes).collect();
        let pairs = matches!(kind, Kind::Hash | Kind::Zset);
        return items.filter(|items| !pairs || items.len().is_multiple_of(2));
    };
    *place = if items.is_empty() { Place::Over } else { Place::Index(from + items.len() as u64) };
    items.into_iter().map(Value::into_bytes).collect()
}

/// Asks until when fields live.
pub(super) fn field_times(key: &[u8], fields: &[&Vec<u8>]) -> Request {
    let mut request = vec![b"HPEXPIRETIME".to_vec(), key.to_vec(), b"FIELDS".to_vec()];
    request.push(fields.len().to_string().into_bytes());
    request.extend(fields.iter().map(|field| (*field).clone()));
    request
}

/// Says until when a field lives.
pub(super) fn expire_field(hidden: &[u8], field: &[u8], time: i64) -> Request {
    let time = time.to_string().into_bytes();
    let (command, fields) = (b"HPEXPIREAT".to_vec(), b"FIELDS".to_vec());
    vec![command, hidden.to_vec(), time, fields, b"1".to_vec(), field.to_vec()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[&str]) -> Value {
        Value::Array(texts.iter().map(|text| Value::Bytes((*text).into())).collect())
    }

    #[test]
    fn a_list_is_read_until_a_piece_is_empty() {
        let mut place = Kind::List.begin();
        let read = piece(Kind::List, &mut place, values(&["a", "b"]));
        assert_eq!((read.map(|read| read.len()), &place), (Some(2), &Place::Index(2)));
        assert_eq!(piece(Kind::List, &mut place, values(&[])), Some(Vec::new()));
        assert!(place.is_over());
    }

    #[test]
    fn scores_are_written_before_their_members() {
        let mut place = Kind::Zset.begin();
        let answer = Value::Array(vec![Value::Bytes(b"0".to_vec()), values(&["m", "1.5"])]);
        let read = piece(Kind::Zset, &mut place, answer).expect("it is good");
        assert!(place.is_over());
        let parts = ["ZADD", "h", "1.5", "m"].map(|part| part.as_bytes().to_vec());
        assert_eq!(Kind::Zset.writes(b"h", &read), [parts.to_vec()]);
    }

    #[test]
    fn halves_of_pairs_are_no_answer() {
        let answer = Value::Array(vec![Value::Bytes(b"0".to_vec()), values(&["f"])]);
        assert_eq!(piece(Kind::Hash, &mut Kind::Hash.begin(), answer), None);
    }
}
