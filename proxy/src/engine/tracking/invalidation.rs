//! What a server's invalidation says.

use super::super::route::is_reserved;
use crate::resp::reply::take_bulk;
use crate::resp::request::strict_integer;
use crate::resp::write;
use std::borrow::Cow;

/// What comes before the keys.
const START: &[u8] = b">2\r\n$10\r\ninvalidate\r\n*";

/// A server's push message without the keys that are codis's own, of which clients do not know; with BCAST, a server
/// names every key that changes. `None`: nothing is left to be told.
pub(super) fn without_reserved(push: &[u8]) -> Option<Cow<'_, [u8]>> {
    // All keys, or another kind of message.
    let Some(keys) = keys(push) else { return Some(Cow::Borrowed(push)) };
    let clients: Vec<&[u8]> = keys.iter().copied().filter(|key| !is_reserved(key)).collect();
    if clients.is_empty() {
        return None;
    }
    if clients.len() == keys.len() {
        return Some(Cow::Borrowed(push));
    }
    let mut left = START[..START.len() - 1].to_vec();
    write::array(&mut left, clients.len());
    for key in clients {
        write::bulk(&mut left, key);
    }
    Some(Cow::Owned(left))
}

/// The keys that an invalidation names.
fn keys(push: &[u8]) -> Option<Vec<&[u8]>> {
    let rest = push.strip_prefix(START)?;
    let line_end = memchr::memchr(b'\r', rest)?;
    let count = usize::try_from(strict_integer(&rest[..line_end])?).ok()?;
    let mut rest = rest.get(line_end + 2..)?;
    (0..count).map(|_| take_bulk(&mut rest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalidation(keys: &[&str]) -> Vec<u8> {
        let mut push = b">2\r\n$10\r\ninvalidate\r\n".to_vec();
        write::array(&mut push, keys.len());
        for key in keys {
            write::bulk(&mut push, key.as_bytes());
        }
        push
    }

    #[test]
    fn clients_are_told_of_their_own_keys_only() {
        let told: [(&[&str], &[&str]); 6] = [
            (&["k"], &["k"]),
            (&["k", "__codis_", "a b\r\n"], &["k", "__codis_", "a b\r\n"]),
            (&["k", "__codis_wait__", "l"], &["k", "l"]),
            (&["{__codis_big__}:7:1", "k"], &["k"]),
            (&["__codis_fence__"], &[]),
            (&["__codis_mover__", "{__codis_big__}:7:1"], &[]),
        ];
        for (named, left) in told {
            let push = invalidation(named);
            let expected = (!left.is_empty()).then(|| invalidation(left));
            assert_eq!(without_reserved(&push).as_deref(), expected.as_deref(), "{named:?}");
        }
    }

    #[test]
    fn what_names_no_keys_is_passed_on() {
        for push in [
            super::super::INVALIDATE_ALL,
            b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\nk\r\n_\r\n",
            b">2\r\n$4\r\nnews\r\n$1\r\nx\r\n",
            b">0\r\n",
        ] {
            assert_eq!(without_reserved(push).as_deref(), Some(push), "{}", push.escape_ascii());
        }
    }
}
