//! Transactions: all or nothing, in their order, and nothing where a watched key has changed.

use crate::ledger::{Asked, Checked, Ledger};

/// What was queued.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// This request of the client's, which a server runs.
    Asked(usize),
    /// The proxy's own answer.
    Exactly(Vec<u8>),
}

/// What a client has said between MULTI and EXEC.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) items: Vec<Item>,
    /// The client's WATCH before it.
    pub(crate) watch: Option<usize>,
    /// Something could not be queued.
    pub(crate) spoilt: bool,
    /// It ran although a watched key had changed, or nobody had watched it.
    pub(crate) unwatched: bool,
}

impl Transaction {
    /// The requests that a server runs.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.items.iter().filter_map(|item| match item {
            Item::Asked(number) => Some(*number),
            Item::Exactly(_) => None,
        })
    }

    /// Nothing of it may run.
    pub(crate) fn refuse(&self, asked: &mut [Asked]) {
        self.numbers().for_each(|number| asked[number].refused = true);
    }

    /// Whether all of it has run, or nothing; or what else.
    fn has_run(&self, asked: &[Asked]) -> Checked<bool> {
        let all = self.numbers().count();
        let runs = |number: &usize| asked[*number].runs.iter().all(Option::is_some);
        let some = |number: &usize| asked[*number].runs.iter().any(Option::is_some);
        let (ran, touched) =
            (self.numbers().filter(runs).count(), self.numbers().filter(some).count());
        match (ran, touched) {
            (_, 0) => Ok(false),
            (ran, _) if ran == all => Ok(true),
            _ => Err(format!("{touched} of {all} requests of a transaction have run")),
        }
    }
}

impl Ledger {
    /// A server is about to run these requests of a client's as one.
    pub(crate) fn check_execution(&mut self, client: usize, numbers: &[usize]) -> Checked {
        let Some(first) = numbers.first() else { return Ok(()) };
        let Some(which) = self.asked[client][*first].transaction else {
            return Err(format!("request {client}.{first} ran in a transaction"));
        };
        let transaction = &self.transactions[client][which];
        match transaction.numbers().eq(numbers.iter().copied()) {
            true => Ok(()),
            false => Err(format!("{numbers:?} of client {client} ran as one, not {transaction:?}")),
        }
    }

    /// The transaction has been run by the server of this home; the version of its watched key there is this.
    pub(crate) fn note_execution(
        &mut self,
        client: usize,
        first: usize,
        home: usize,
        version: impl FnOnce(&Asked) -> u64,
    ) {
        let Some(which) = self.asked[client][first].transaction else { return };
        let transaction = &mut self.transactions[client][which];
        if let Some(watch) = transaction.watch {
            let watch = &self.asked[client][watch];
            transaction.unwatched = watch.watched != Some((home, version(watch)));
        }
    }

    /// Checks the answer to EXEC.
    pub(crate) fn check_executed(
        &mut self,
        client: usize,
        which: usize,
        reply: &[u8],
        in_order: bool,
        faulty: impl Fn(&str) -> bool,
        epoch_now: u64,
    ) -> Checked {
        let what = format!("transaction {client}.{which}");
        let text = reply.escape_ascii().to_string();
        let short = &text[..text.len().min(300)];
        let transaction = &self.transactions[client][which];
        let ran =
            transaction.has_run(&self.asked[client]).map_err(|why| format!("{what}: {why}"))?;
        let numbers: Vec<usize> = transaction.numbers().collect();
        if text.contains("the command may have run") {
            return self.check_cause(&what, &text, faulty);
        }
        if reply.starts_with(b"*") && !reply.starts_with(b"*-1") && !transaction.spoilt {
            let expected = self.expected_of(client, which);
            if expected.as_deref() != Some(reply) {
                let expected = expected.map(|expected| expected.escape_ascii().to_string());
                return Err(format!("{what} was answered {short} and not {expected:?}"));
            }
            let watch = transaction.watch.map(|watch| &self.asked[client][watch]);
            if transaction.unwatched && watch.is_some_and(|watch| watch.acknowledged) {
                return Err(format!("{what} ran though its watched key has changed"));
            }
            return numbers
                .iter()
                .filter(|_| in_order)
                .try_for_each(|number| self.check_order(client, *number));
        }
        if ran && !numbers.is_empty() {
            return Err(format!("{what} ran and was answered {short}"));
        }
        transaction.refuse(&mut self.asked[client]);
        let transaction = &self.transactions[client][which];
        let is_nothing = matches!(reply, b"*-1\r\n" | b"_\r\n");
        match numbers.first().or(transaction.watch.as_ref()) {
            _ if transaction.spoilt && text.starts_with("-EXECABORT ") => Ok(()),
            _ if transaction.watch.is_some() && is_nothing => Ok(()),
            _ if text.starts_with("-ERR backend ") => self.check_cause(&what, &text, faulty),
            Some(first) if text.starts_with("-ERR slot ") => {
                let asked = &self.asked[client][*first];
                match self.is_away(asked, &text, epoch_now) {
                    true => Ok(()),
                    false => Err(format!("{what} was answered {short}")),
                }
            }
            _ => Err(format!("{what} was answered {short}")),
        }
    }

    /// EXEC's answer if all of it has run.
    fn expected_of(&self, client: usize, which: usize) -> Option<Vec<u8>> {
        let items = &self.transactions[client][which].items;
        let mut whole = format!("*{}\r\n", items.len()).into_bytes();
        for item in items {
            match item {
                Item::Exactly(reply) => whole.extend_from_slice(reply),
                Item::Asked(number) => {
                    whole.extend(Self::expected(&self.asked[client][*number])?);
                }
            }
        }
        Some(whole)
    }

    /// Whether each transaction has run, or has not.
    pub(crate) fn check_transactions(&self) -> Checked {
        for (client, transactions) in self.transactions.iter().enumerate() {
            for (which, transaction) in transactions.iter().enumerate() {
                transaction
                    .has_run(&self.asked[client])
                    .map_err(|why| format!("transaction {client}.{which}: {why}"))?;
            }
        }
        Ok(())
    }
}
