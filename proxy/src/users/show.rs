//! Users as ACL LIST and ACL GETUSER show them.

use super::{KeyPattern, User};

impl KeyPattern {
    fn shown(&self) -> String {
        let access = match (self.read, self.write) {
            (true, true) => "",
            (true, false) => "%R",
            _ => "%W",
        };
        format!("{access}~{}", self.glob)
    }
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(" ")
}

impl User {
    /// The flags of ACL GETUSER.
    #[must_use]
    pub fn flags(&self) -> Vec<&'static str> {
        let state = if self.enabled { "on" } else { "off" };
        let password = self.no_password.then_some("nopass");
        [Some(state), password].into_iter().flatten().collect()
    }

    /// The hashes of its passwords, in hex.
    #[must_use]
    pub fn passwords(&self) -> Vec<String> {
        let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.passwords.iter().map(hex).collect()
    }

    /// Its rules about commands.
    #[must_use]
    pub fn commands(&self) -> String {
        self.commands.shown()
    }

    /// Its patterns of keys.
    #[must_use]
    pub fn keys(&self) -> String {
        joined(self.keys.iter().map(KeyPattern::shown))
    }

    /// Its patterns of channels.
    #[must_use]
    pub fn channels(&self) -> String {
        joined(self.channels.iter().map(|channel| format!("&{channel}")))
    }

    /// Its line of ACL LIST.
    #[must_use]
    pub fn line(&self) -> String {
        let passwords = joined(self.passwords().iter().map(|hash| format!("#{hash}")));
        let all_channels = self.channels.iter().any(|channel| channel == "*");
        let channels = match all_channels {
            true => self.channels(),
            false => format!("resetchannels {}", self.channels()),
        };
        let parts = [
            self.flags().join(" "),
            passwords,
            self.keys(),
            channels.trim_end().into(),
            self.commands(),
        ];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        format!("user {} {}", self.name, joined(parts))
    }
}
