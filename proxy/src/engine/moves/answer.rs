//! What servers answer to calls, and what follows.

use super::super::Engine;
use super::{Call, RunId, What};
use crate::resp::request::strict_integer;
use codis_proto::moves::{Moved, SEVERAL, Script, UNCLEAN};

/// The words of an error reply; `None` for any other reply.
fn error_words(reply: &[u8]) -> Option<String> {
    let words = reply.strip_prefix(b"-")?;
    Some(String::from_utf8_lossy(words).trim_end().to_owned())
}

/// What the script answers for so many keys, and the words of its last failure. The bytes and the time between them are for
/// the migrator.
fn script_answer(reply: &[u8], keys: usize) -> Option<(Vec<Moved>, String)> {
    let (header, mut rest) = line(reply)?;
    if strict_integer(header.strip_prefix(b"*")?)? != keys as i64 + 3 {
        return None;
    }
    let mut numbers = Vec::with_capacity(keys + 2);
    for _ in 0..keys + 2 {
        let (number, after) = line(rest)?;
        numbers.push(strict_integer(number.strip_prefix(b":")?)?);
        rest = after;
    }
    let (_, words) = line(rest)?;
    numbers.truncate(keys);
    let moved: Option<Vec<Moved>> = numbers.into_iter().map(Moved::from_number).collect();
    Some((moved?, String::from_utf8_lossy(words).trim_end().to_owned()))
}

/// The first line, without its end, and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', bytes)?;
    Some((bytes[..end].strip_suffix(b"\r")?, &bytes[end + 1..]))
}

/// The run id in the reply to INFO.
fn run_id(reply: &[u8]) -> Option<&str> {
    let mut lines = reply.split(|byte| *byte == b'\n');
    let id = lines.find_map(|line| line.strip_prefix(b"run_id:"))?;
    std::str::from_utf8(id.trim_ascii_end()).ok().filter(|id| !id.is_empty())
}

impl Engine {
    /// A reply has come to a part of a call.
    #[cold]
    pub(in super::super) fn on_move_reply(&mut self, call: u32, part: u32, reply: &[u8]) {
        match error_words(reply) {
            Some(words) => self.on_move_part(call, part, Err(&words)),
            None => self.on_move_part(call, part, Ok(reply)),
        }
    }

    /// The connection of a call is lost. Nobody knows what it did; what asks again finds out.
    #[cold]
    pub(in super::super) fn on_move_lost(&mut self, call: u32, part: u32) {
        let backend = &self.backends[self.moves.calls[call as usize].backend as usize];
        let words = format!("the server {} was lost: {}", backend.address, backend.last_error);
        self.on_move_part(call, part, Err(&words));
    }

    fn on_move_part(&mut self, index: u32, part: u32, reply: Result<&[u8], &str>) {
        let is_last = match &mut self.moves.calls[index as usize].what {
            What::Safe(question) => Self::on_safe_part(question, part, reply),
            What::Read(reading) => reading.take(part, reply),
            What::RunId | What::Script { .. } | What::Unlink { .. } | What::Look(_) => true,
        };
        if !is_last {
            return;
        }
        let Call { backend, what } = self.moves.calls.remove(index as usize);
        match what {
            What::RunId => self.on_run_id(backend, reply),
            What::Script { line, jobs, copy } => self.on_script(line, jobs, copy, reply),
            What::Unlink { jobs } => self.on_unlinked(jobs, reply),
            What::Safe(question) => self.on_safe(question),
            What::Look(looking) => self.on_look(looking, reply),
            What::Read(reading) => self.on_read(reading),
        }
    }

    fn on_run_id(&mut self, backend: u32, reply: Result<&[u8], &str>) {
        let known = reply.map(run_id);
        let source = &mut self.backends[backend as usize];
        let words = match known {
            Ok(Some(id)) => {
                source.run_id = RunId::Known(id.into());
                return self.mark_lines_of(backend);
            }
            Ok(None) => format!("the server {} does not tell its run id", source.address),
            Err(words) => words.to_owned(),
        };
        source.run_id = RunId::Unknown;
        let lines = self.moves.lines.iter().filter(|(_, line)| line.backend == backend);
        let lines: Vec<u32> = lines.map(|(line, _)| line as u32).collect();
        lines.into_iter().for_each(|line| self.give_up_line(line, &words));
    }

    fn on_script(&mut self, line: u32, jobs: Vec<u32>, copy: bool, reply: Result<&[u8], &str>) {
        self.moves.lines[line as usize].calls -= 1;
        self.mark_line(line);
        let reply = match reply {
            Ok(reply) => reply,
            Err(words) if words.starts_with("NOSCRIPT") => {
                let jobs = self.moves.drop_cancelled(jobs);
                if !jobs.is_empty() {
                    self.call_script(line, jobs, Script::Text);
                }
                return;
            }
            Err(words) if words.starts_with(UNCLEAN) => {
                return jobs.into_iter().for_each(|job| self.pause(job, false, words));
            }
            Err(words) if words.starts_with(SEVERAL) => {
                for job in jobs {
                    self.moves.jobs[job as usize].alone = true;
                    self.pause(job, false, words);
                }
                return;
            }
            Err(words) => return self.give_up_all(jobs, words),
        };
        let Some((answers, words)) = script_answer(reply, jobs.len()) else {
            let shown = String::from_utf8_lossy(reply);
            let words = format!("the source answered the move script with: {shown}");
            return self.give_up_all(jobs, &words);
        };
        let mut again = Vec::new();
        for (job, moved) in jobs.into_iter().zip(answers) {
            match moved {
                Moved::NotHere => self.finish(job),
                Moved::There | Moved::WasThere if copy => self.make_safe(job),
                Moved::There | Moved::WasThere => self.finish_moved(job),
                Moved::Big => self.on_big(job),
                Moved::Failed => self.give_up(job, &words),
                Moved::NotTried => again.push(job),
            }
        }
        for job in again.into_iter().rev() {
            self.enqueue_first(job, line);
        }
    }

    fn on_unlinked(&mut self, jobs: Vec<u32>, reply: Result<&[u8], &str>) {
        match reply {
            Ok(_) => jobs.into_iter().for_each(|job| self.finish_moved(job)),
            Err(words) if words.starts_with(UNCLEAN) => {
                jobs.into_iter().for_each(|job| self.pause(job, false, words));
            }
            Err(words) => self.give_up_all(jobs, words),
        }
    }

    /// This proxy has moved the key.
    fn finish_moved(&mut self, job: u32) {
        self.counters.moves.keys_moved += 1;
        self.finish(job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_answer_is_one_number_a_key_then_bytes_then_words() {
        let reply = b"*6\r\n:0\r\n:4\r\n:5\r\n:1234\r\n:600\r\n$10\r\nOOM no way\r\n";
        let expected = vec![Moved::NotHere, Moved::Failed, Moved::NotTried];
        assert_eq!(script_answer(reply, 3), Some((expected, "OOM no way".into())));
        assert_eq!(
            script_answer(b"*4\r\n:1\r\n:9\r\n:5\r\n$0\r\n\r\n", 1),
            Some((vec![Moved::There], String::new()))
        );
        for nonsense in [
            &b"*6\r\n:0\r\n:4\r\n:6\r\n:1\r\n:1\r\n$0\r\n\r\n"[..],
            b"*5\r\n:0\r\n:4\r\n:1\r\n:1\r\n$0\r\n\r\n",
            b"*6\r\n:0\r\n$1\r\n4\r\n:5\r\n:1\r\n:1\r\n$0\r\n\r\n",
            b"+OK\r\n",
            b"",
        ] {
            assert_eq!(script_answer(nonsense, 3), None, "{}", nonsense.escape_ascii());
        }
    }

    #[test]
    fn the_run_id_is_one_line_of_info() {
        let info =
            b"$52\r\n# Server\r\nredis_version:7.0.0\r\nrun_id:0123abcd\r\ntcp_port:1\r\n\r\n";
        assert_eq!(run_id(info), Some("0123abcd"));
        assert_eq!(run_id(b"$20\r\n# Server\r\nrun_id:\r\n\r\n"), None);
        assert_eq!(run_id(b"+OK\r\n"), None);
    }
}
