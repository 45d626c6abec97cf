//! What is checked when a run is over, and how a failure is told.

use crate::ledger::Checked;
use crate::script::Ending;
use crate::world::{Node, World};

impl World {
    pub(crate) fn why_not_quiet(&self) -> Option<String> {
        let (index, client) =
            self.clients.iter().enumerate().find(|(_, client)| !client.is_quiet())?;
        Some(format!(
            "client {index} hangs: {:?}, {} replies missing, the first {:?}; {} bytes unwritten, {} unread by the proxy, {} requests left; session {:?}: {:?}",
            client.script.ending,
            client.expected.len(),
            client.expected.front(),
            client.outbox.len(),
            client.to_proxy.len(),
            client.script.left,
            client.session,
            self.nodes[client.node]
                .engine
                .clients()
                .iter()
                .find(|(session, _)| Some(*session) == client.session)
                .map(|(_, info)| info),
        ))
    }

    pub(crate) fn check_end(&mut self) -> Checked {
        let mut cuts = 0;
        for node in 0..self.nodes.len() {
            let engine = &self.nodes[node].engine;
            if engine.sessions() > 0 || engine.backends() > 0 {
                return Err(format!(
                    "{} sessions and {} backends are left when all are gone",
                    engine.sessions(),
                    engine.backends()
                ));
            }
            self.audit(node)?;
            let Node { epoch, settled, .. } = self.nodes[node];
            if settled != epoch {
                return Err(format!("topology {epoch} never settled: {settled} has"));
            }
            for (reason, count) in self.nodes[node].engine.stats().sessions_cut {
                cuts += count;
                if !self.may_cut(reason) {
                    return Err(format!("{count} sessions were cut: {reason}"));
                }
            }
        }
        let breaks = self.plan.settings.break_on_failure
            && (self.plan.server_faults > 0 || self.plan.topology_changes > 0);
        if self.abrupt > cuts && !breaks && !self.draining {
            return Err(format!(
                "{} sessions were closed before their replies came, {cuts} for a reason",
                self.abrupt
            ));
        }
        self.check_runs()
    }

    /// Whether a session may be cut for this reason in this run.
    pub(crate) fn may_cut(&self, reason: &str) -> bool {
        let settings = &self.plan.settings;
        match reason {
            "http" => self.clients.iter().any(|client| client.script.ending == Ending::Http),
            "killed" => self.plan.kills > 0,
            "backend_lost" => self.plan.server_faults + self.plan.fences > 0,
            "idle" => settings.session_recv_timeout_s > 0,
            "unread" => settings.session_send_timeout_s > 0 && self.plan.unread,
            "output_limit" => settings.output_bytes_hard < 1 << 20,
            _ => false,
        }
    }

    /// Where nothing failed, everything that was asked ran.
    pub(crate) fn check_runs(&self) -> Checked {
        self.ledger.check_transactions()?;
        let plan = &self.plan;
        if plan.server_faults + plan.topology_changes + plan.kills > 0 || plan.drain {
            return Ok(());
        }
        for (client, asked) in self.ledger.asked.iter().enumerate() {
            let target = &self.clients[client];
            if !target.satisfied() || !target.is_owed() {
                continue;
            }
            for (number, request) in asked.iter().enumerate() {
                // A command that no server could be asked about is unknown.
                let unknown = request.args[0].eq_ignore_ascii_case(b"SIM.GET");
                // What waits may have waited in vain, or in a client that is gone.
                let exempt = unknown || request.waits;
                if !exempt && !request.refused && request.runs.iter().any(Option::is_none) {
                    return Err(format!(
                        "request {client}.{number} ({}) never ran",
                        request.args[0].escape_ascii()
                    ));
                }
            }
        }
        Ok(())
    }

    /// What the seed chose and what became of each request, for whoever looks into a failure.
    pub(crate) fn story(&self) -> String {
        let mut story = format!("at {} us\n{:#?}\n", self.now, self.plan);
        for (index, client) in self.clients.iter().enumerate() {
            let asked = &self.ledger.asked[index];
            let (ending, session) = (client.script.ending, client.session);
            let missing = client.expected.len();
            story +=
                &format!("client {index}: {ending:?}, session {session:?}, {missing} missing\n");
            for (number, request) in asked.iter().enumerate() {
                let runs: Vec<_> =
                    request.runs.iter().map(|run| run.as_ref().map(|run| run.order)).collect();
                let shown = |arg: &Vec<u8>| arg[..arg.len().min(30)].escape_ascii().to_string();
                let args: Vec<String> = request.args.iter().map(shown).collect();
                story += &format!(
                    "  {index}.{number} ran at {runs:?} in {}: {}\n",
                    request.database,
                    args.join(" ")
                );
            }
        }
        story
    }
}
