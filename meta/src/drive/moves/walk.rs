//! A walk over all keys of a server, database after database.

use super::link::{CALL_MAX, Link};
use super::net::{Connection, Request, Value, request};
use super::slot::is_reserved;
use super::trouble::Trouble;

/// How many places of the table one SCAN looks at: about 0.25 ms, in which the server serves nobody else.
pub(super) const SCAN_COUNT: usize = 256;

/// Keys of one database that were found together.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) database: u32,
    pub(super) keys: Vec<Vec<u8>>,
}

/// Where a walk is.
#[derive(Debug)]
pub(super) struct Walk {
    /// Those to come, the next one last.
    databases: Vec<u32>,
    cursor: Vec<u8>,
    /// Reserved keys are told too.
    all: bool,
}

impl Walk {
    /// A walk over the keys of clients.
    pub(super) async fn begin<C: Connection>(link: &mut Link<C>) -> Result<Walk, Trouble> {
        let info = link.all_well(vec![request(&["INFO", "keyspace"])]).await?.pop();
        let info = info.and_then(Value::into_bytes).unwrap_or_default();
        let mut databases = databases(&String::from_utf8_lossy(&info));
        databases.reverse();
        Ok(Walk { databases, cursor: b"0".to_vec(), all: false })
    }

    /// Tells reserved keys too.
    pub(super) fn with_reserved(self) -> Walk {
        Walk { all: true, ..self }
    }

    pub(super) fn is_over(&self) -> bool {
        self.databases.is_empty()
    }

    /// The question for the next page, with its database; `None` at the end.
    pub(super) fn question(&self, count: usize) -> Option<(u32, Request)> {
        let mut scan = request(&["SCAN"]);
        scan.push(self.cursor.clone());
        scan.extend(request(&["COUNT", &count.to_string()]));
        Some((*self.databases.last()?, scan))
    }

    /// Reads the answer to it.
    pub(super) fn answer<C: Connection>(
        &mut self,
        link: &Link<C>,
        answer: Value,
    ) -> Result<Page, Trouble> {
        let Some(database) = self.databases.last().copied() else { return Ok(Page::default()) };
        if let Value::Error(why) = answer {
            return Err(link.refused("SCAN", &why));
        }
        let [cursor, keys] = answer
            .into_items()
            .and_then(|items| <[Value; 2]>::try_from(items).ok())
            .ok_or_else(|| link.refused("SCAN", "not as Redis answers it"))?;
        self.cursor = cursor.into_bytes().unwrap_or_else(|| b"0".to_vec());
        if self.cursor == b"0" {
            self.databases.pop();
        }
        let keys = keys.into_items().unwrap_or_default().into_iter().filter_map(Value::into_bytes);
        let keys = keys.filter(|key| self.all || !is_reserved(key)).collect();
        Ok(Page { database, keys })
    }

    /// Asks `requests`, all of one database, and for the next page in the same go.
    pub(super) async fn next<C: Connection>(
        &mut self,
        link: &mut Link<C>,
        mut requests: Vec<(u32, Request)>,
    ) -> Result<(Vec<Value>, Option<Page>), Trouble> {
        let question = self.question(SCAN_COUNT);
        let more = question.is_some();
        requests.extend(question);
        let mut answers = link.ask(requests, CALL_MAX * 5).await?;
        let page = match answers.pop_if(|_| more) {
            Some(answer) => Some(self.answer(link, answer)?),
            None => None,
        };
        Ok((answers, page))
    }
}

/// Those that have keys, by rising number.
fn databases(info: &str) -> Vec<u32> {
    let mut found: Vec<u32> = info
        .lines()
        .filter_map(|line| line.strip_prefix("db")?.split_once(':')?.0.parse().ok())
        .collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_that_have_keys_are_walked() {
        let info = "# Keyspace\r\ndb11:keys=1,expires=0\r\ndb0:keys=2,expires=0\r\n";
        assert_eq!(databases(info), [0, 11]);
        assert!(databases("# Keyspace\r\n").is_empty());
    }
}
