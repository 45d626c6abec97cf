//! Libraries of functions, which belong to no slot and are needed where the keys are.
//!
//! A client's FUNCTION LOAD reaches the masters that there are. So slots that move take along the libraries that their new
//! master lacks. A library that it has by the same name stays as it is there: nobody here can know which one is right.

use std::collections::BTreeSet;

use super::link::{CALL_MAX, Link};
use super::net::{Connection, Net, Request, Value, request};
use super::plan::Place;
use super::trouble::Trouble;
use super::{Member, Mover, Servers};

/// A library of a server.
#[derive(Debug, PartialEq, Eq)]
struct Library {
    name: Vec<u8>,
    code: Vec<u8>,
}

impl<M: Member, S: Servers, N: Net> Mover<'_, M, S, N> {
    /// Loads the libraries at the target that the source has and the target has not. One that the target refuses is told of
    /// in the log; keys move all the same.
    pub(super) async fn bring_functions(
        &self,
        source: &mut Link<N::Connection>,
        target: &Place,
    ) -> Result<(), Trouble> {
        let libraries = libraries(source).await?;
        if libraries.is_empty() {
            return Ok(());
        }
        let mut link = self.open(&target.address).await?;
        let known = self::libraries(&mut link).await?;
        let known: BTreeSet<Vec<u8>> = known.into_iter().map(|library| library.name).collect();
        for Library { name, code } in libraries {
            if known.contains(&name) {
                continue;
            }
            let (library, from) = (String::from_utf8_lossy(&name), source.address());
            let load: Request = vec![b"FUNCTION".to_vec(), b"LOAD".to_vec(), code];
            let to = &target.address;
            match link.ask(vec![(0, load)], CALL_MAX).await?.pop() {
                Some(Value::Error(why)) => tracing::warn!(
                    "the functions of library {library} are not at {to}, where slots go: it refuses the one of {from}: {why}"
                ),
                _ => tracing::info!("library {library} was loaded at {to}, as {from} has it"),
            }
        }
        Ok(())
    }
}

/// The libraries of a server; one before Redis 7.0 has none.
async fn libraries<C: Connection>(link: &mut Link<C>) -> Result<Vec<Library>, Trouble> {
    let list = request(&["FUNCTION", "LIST", "WITHCODE"]);
    let list = link.ask(vec![(0, list)], CALL_MAX).await?.pop();
    let list = list.and_then(Value::into_items).unwrap_or_default();
    Ok(list.into_iter().filter_map(library).collect())
}

/// A library, from what the server says of it: names and values in turn.
fn library(about: Value) -> Option<Library> {
    let about = about.into_items()?;
    let find = |name: &str| {
        let mut pairs = about.chunks_exact(2);
        let pair = pairs.find(|pair| pair[0].text() == Some(name))?;
        pair[1].bytes().map(<[u8]>::to_vec)
    };
    Some(Library { name: find("library_name")?, code: find("library_code")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_read_wherever_its_parts_stand() {
        let text = |text: &str| Value::Bytes(text.into());
        let about = ["engine", "LUA", "library_code", "#!lua", "library_name", "mine"];
        let read = library(Value::Array(about.map(text).to_vec()));
        assert_eq!(read, Some(Library { name: b"mine".to_vec(), code: b"#!lua".to_vec() }));
        assert_eq!(library(Value::Array(about.map(text)[..4].to_vec())), None);
        assert_eq!(library(Value::Integer(1)), None);
    }
}
