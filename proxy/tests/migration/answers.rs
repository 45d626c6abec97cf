//! What answers say of the operations that they are to.

use crate::history::What;
use crate::server::reply::Reply;

/// Writes what was answered into the operation; whether it is an answer to it. A number that counts several keys says something
/// of each only where it is all or none.
pub(crate) fn learn(what: &mut What, value: Option<Reply>, count: usize) -> bool {
    let bulks = |items: Vec<Reply>| -> Option<Vec<Vec<u8>>> {
        items
            .into_iter()
            .map(|item| if let Reply::Bulk(text) = item { Some(text) } else { None })
            .collect()
    };
    match (what.asked(), value) {
        (What::Get(seen), Some(Reply::Nil)) => *seen = Some(None),
        (What::Get(seen), Some(Reply::Bulk(text))) => *seen = Some(Some(text)),
        (What::Set(_), Some(Reply::Status(_))) => {}
        (What::Delete(seen) | What::Exists(seen), Some(Reply::Int(number))) => {
            *seen = match number {
                0 => Some(false),
                number if number == count as i64 => Some(true),
                number => return (0..=count as i64).contains(&number),
            };
        }
        (What::Expire(seen) | What::Add(_, seen), Some(Reply::Int(number))) => {
            *seen = Some(number == 1);
        }
        (What::Pop(seen) | What::Transfer(seen), Some(Reply::Nil)) => *seen = Some(None),
        (What::Transfer(seen), Some(Reply::Bulk(text))) => *seen = Some(Some(text)),
        (What::Pop(seen), Some(Reply::Array(mut items))) => match (items.pop(), items.len()) {
            (Some(Reply::Bulk(text)), 1) => *seen = Some(Some(text)),
            _ => return false,
        },
        (What::Swap(..), Some(Reply::Status(_))) => {}
        (What::Increment(seen) | What::Push(_, seen), Some(Reply::Int(number))) => {
            *seen = Some(number);
        }
        (What::Range(seen), Some(Reply::Array(items))) => {
            *seen = bulks(items);
            return seen.is_some();
        }
        (What::Members(seen), Some(Reply::Array(items))) => {
            *seen = bulks(items).map(|items| items.into_iter().collect());
            return seen.is_some();
        }
        _ => return false,
    }
    true
}
