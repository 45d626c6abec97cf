//! Which commands a user may run: rules such as `+@read -get +client|id`, in their order.

use crate::command::{self, COMMANDS, CommandId, lookup_full_name};

/// Commands with a bit for each.
const WORDS: usize = COMMANDS.len() / 64 + 1;

/// A set of commands, and the rules that made it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CommandSet {
    bits: [u64; WORDS],
    rules: Vec<String>,
}

impl CommandSet {
    /// Every command.
    pub(super) fn all() -> Self {
        Self { bits: [u64::MAX; WORDS], rules: vec!["+@all".into()] }
    }

    /// What rules say that begin with nothing.
    ///
    /// # Errors
    /// The sentence about the first rule that means nothing.
    pub(super) fn of(rules: &str) -> Result<Self, String> {
        let mut set = Self { bits: [0; WORDS], rules: Vec::new() };
        for rule in rules.split_whitespace() {
            let rule = match rule {
                "allcommands" => "+@all",
                "nocommands" => "-@all",
                rule => rule,
            };
            set.apply(rule)?;
        }
        Ok(set)
    }

    fn apply(&mut self, rule: &str) -> Result<(), String> {
        let (allow, what) = match (rule.strip_prefix('+'), rule.strip_prefix('-')) {
            (Some(what), _) => (true, what),
            (_, Some(what)) => (false, what),
            _ => return Err(format!("the rule {rule:?} begins with neither + nor -")),
        };
        let named: Vec<CommandId> = match what.strip_prefix('@') {
            Some("all") => {
                self.bits = [if allow { u64::MAX } else { 0 }; WORDS];
                self.rules = vec![rule.to_ascii_lowercase()];
                return Ok(());
            }
            Some(category) => {
                let category = category.to_ascii_lowercase();
                if !command::CATEGORIES.contains(&category.as_str()) {
                    return Err(format!(
                        "there is no category {category:?} of commands: see ACL CAT"
                    ));
                }
                command::in_category(&category).collect()
            }
            None => {
                let id = lookup_full_name(what.as_bytes())
                    .ok_or_else(|| format!("there is no command {what:?}"))?;
                // A container's rule is for all that it contains.
                (id.0..=id.0 + id.command().subcommands).map(CommandId).collect()
            }
        };
        for id in named {
            let (word, bit) = (usize::from(id.0) / 64, 1 << (id.0 % 64));
            if allow {
                self.bits[word] |= bit;
            } else {
                self.bits[word] &= !bit;
            }
        }
        self.rules.push(rule.to_ascii_lowercase());
        Ok(())
    }

    pub(super) fn has(&self, id: CommandId) -> bool {
        self.bits[usize::from(id.0) / 64] & 1 << (id.0 % 64) != 0
    }

    pub(super) fn is_all(&self) -> bool {
        self.bits.iter().all(|word| *word == u64::MAX)
    }

    /// The rules as Redis shows them: from nothing, or from everything.
    pub(super) fn shown(&self) -> String {
        match self.rules.first().map(String::as_str) {
            Some("+@all" | "-@all") => self.rules.join(" "),
            Some(_) => format!("-@all {}", self.rules.join(" ")),
            None => "-@all".into(),
        }
    }
}
