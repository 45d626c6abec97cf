//! Linearizable reads by ReadIndex.
//!
//! Reads that arrive together ask the leader together: one question covers all that were waiting
//! when it was sent. A question may be lost, or dropped by a leader that has not committed anything
//! in its term yet, so it is asked again until it is answered.

use std::collections::VecDeque;

use super::outcome::Ticket;

/// Reads on their way.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// Not asked for yet.
    fresh: Vec<Read>,
    /// Asked for: the question's number, the tick at which it was asked, the reads that it covers.
    asked: VecDeque<Question>,
    /// Answered: readable once the state is applied up to the index.
    answered: Vec<(u64, Read)>,
    next_question: u64,
}

#[derive(Debug, Clone, Copy)]
struct Read {
    ticket: Ticket,
    deadline: u64,
}

#[derive(Debug)]
struct Question {
    number: u64,
    asked_at: u64,
    reads: Vec<Read>,
}

impl Reads {
    /// Takes in a read that fails at tick `deadline`.
    pub(super) fn add(&mut self, ticket: Ticket, deadline: u64) {
        self.fresh.push(Read { ticket, deadline });
    }

    /// How many reads are on their way.
    pub(super) fn len(&self) -> usize {
        self.fresh.len()
            + self.asked.iter().map(|question| question.reads.len()).sum::<usize>()
            + self.answered.len()
    }

    /// The number of a question to ask now, if there are reads that none covers, or if the oldest
    /// question has been without an answer since before `stale`.
    pub(super) fn question(&mut self, now: u64, stale: u64) -> Option<u64> {
        let overdue = self.asked.front().is_some_and(|question| question.asked_at < stale);
        if self.fresh.is_empty() && !overdue {
            return None;
        }
        let mut reads = std::mem::take(&mut self.fresh);
        if overdue {
            // The old questions stay valid for the new number too: whatever the leader answers to a
            // later question holds for reads that came earlier.
            reads.extend(self.asked.drain(..).flat_map(|question| question.reads));
        }
        self.next_question += 1;
        self.asked.push_back(Question { number: self.next_question, asked_at: now, reads });
        Some(self.next_question)
    }

    /// The leader answered question `number`: everything up to `index` was committed by then.
    pub(super) fn answer(&mut self, number: u64, index: u64) {
        let covered = self.asked.iter().take_while(|question| question.number <= number).count();
        for question in self.asked.drain(..covered) {
            self.answered.extend(question.reads.into_iter().map(|read| (index, read)));
        }
    }

    /// The reads that may look at a state applied up to `applied`.
    pub(super) fn readable(&mut self, applied: u64) -> Vec<Ticket> {
        self.answered
            .extract_if(.., |(index, _)| *index <= applied)
            .map(|(_, read)| read.ticket)
            .collect()
    }

    /// The reads whose deadline has passed.
    pub(super) fn expired(&mut self, now: u64) -> Vec<Ticket> {
        let late = |read: &mut Read| read.deadline <= now;
        let mut expired: Vec<Read> = self.fresh.extract_if(.., late).collect();
        for question in &mut self.asked {
            expired.extend(question.reads.extract_if(.., late));
        }
        self.asked.retain(|question| !question.reads.is_empty());
        expired.extend(self.answered.extract_if(.., |(_, read)| late(read)).map(|(_, read)| read));
        expired.into_iter().map(|read| read.ticket).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_wait_together_share_one_question() {
        let mut reads = Reads::default();
        reads.add(Ticket(1), 100);
        reads.add(Ticket(2), 100);
        assert_eq!(reads.question(0, 0), Some(1));
        assert_eq!(reads.question(0, 0), None);
        reads.answer(1, 7);
        assert_eq!(reads.readable(6), []);
        assert_eq!(reads.readable(7), [Ticket(1), Ticket(2)]);
        assert_eq!(reads.len(), 0);
    }

    #[test]
    fn an_answer_to_an_earlier_question_does_not_serve_a_later_read() {
        let mut reads = Reads::default();
        reads.add(Ticket(1), 100);
        assert_eq!(reads.question(0, 0), Some(1));
        reads.add(Ticket(2), 100);
        assert_eq!(reads.question(1, 0), Some(2));
        reads.answer(1, 7);
        assert_eq!(reads.readable(7), [Ticket(1)]);
    }

    #[test]
    fn a_question_without_an_answer_is_asked_again_under_a_new_number() {
        let mut reads = Reads::default();
        reads.add(Ticket(1), 100);
        assert_eq!(reads.question(0, 0), Some(1));
        assert_eq!(reads.question(5, 3), Some(2));
        reads.answer(1, 7);
        assert_eq!(reads.readable(7), [], "the answer to a question that was given up is not used");
        reads.answer(2, 8);
        assert_eq!(reads.readable(8), [Ticket(1)]);
    }

    #[test]
    fn reads_expire_wherever_they_are() {
        let mut reads = Reads::default();
        reads.add(Ticket(1), 10);
        reads.question(0, 0);
        reads.answer(1, 50);
        reads.add(Ticket(2), 10);
        reads.question(0, 0);
        reads.add(Ticket(3), 10);
        assert_eq!(reads.expired(9), []);
        assert_eq!(reads.expired(10).len(), 3);
        assert_eq!(reads.len(), 0);
    }
}
