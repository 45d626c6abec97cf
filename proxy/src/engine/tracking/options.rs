//! What CLIENT TRACKING asks for, by Redis's rules and in its words.

use crate::resp::request::strict_integer;
use crate::resp::{Request, write};

const SYNTAX: &str = "ERR syntax error";

/// The options of a client that tracks.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) bcast: bool,
    pub(super) optin: bool,
    pub(super) optout: bool,
    pub(super) noloop: bool,
    /// Sorted; with BCAST there is at least one, which may be empty.
    pub(super) prefixes: Vec<Vec<u8>>,
}

/// What CLIENT TRACKING ON leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// All that is in force then.
    pub(super) options: Options,
    /// The request, for a server that knows what was in force before.
    pub(super) request: Vec<u8>,
}

impl Options {
    /// Reads `CLIENT TRACKING ON|OFF [options]`; `None` is OFF.
    ///
    /// # Errors
    /// Redis's words for what cannot be, `present` being the options in force.
    pub(super) fn read(
        request: &Request<'_>,
        present: Option<&Self>,
    ) -> Result<Option<Asked>, String> {
        let asked = Self::parse(request)?;
        match &request.arg(2).to_ascii_lowercase()[..] {
            b"on" => {
                let request = asked.request();
                asked.joined(present).map(|options| Some(Asked { options, request }))
            }
            b"off" => Ok(None),
            _ => Err(SYNTAX.into()),
        }
    }

    fn parse(request: &Request<'_>) -> Result<Self, String> {
        let mut asked = Self::default();
        let mut i = 3;
        while i < request.len() {
            let more = i + 1 < request.len();
            match &request.arg(i).to_ascii_lowercase()[..] {
                b"redirect" if more => {
                    strict_integer(request.arg(i + 1))
                        .ok_or("ERR value is not an integer or out of range")?;
                    return Err("ERR REDIRECT is not supported by this proxy: say HELLO 3, and \
                                invalidations come on this connection"
                        .into());
                }
                b"bcast" => asked.bcast = true,
                b"optin" => asked.optin = true,
                b"optout" => asked.optout = true,
                b"noloop" => asked.noloop = true,
                b"prefix" if more => {
                    i += 1;
                    asked.prefixes.push(request.arg(i).to_vec());
                }
                _ => return Err(SYNTAX.into()),
            }
            i += 1;
        }
        Ok(asked)
    }

    /// The options together with those in force, if they go together.
    fn joined(mut self, present: Option<&Self>) -> Result<Self, String> {
        if !self.bcast && !self.prefixes.is_empty() {
            return Err("ERR PREFIX option requires BCAST mode to be enabled".into());
        }
        if present.is_some_and(|present| present.bcast != self.bcast) {
            return Err(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this \
                        client, and then re-enabling it with a different mode."
                    .into(),
            );
        }
        if self.bcast && (self.optin || self.optout) {
            return Err("ERR OPTIN and OPTOUT are not compatible with BCAST".into());
        }
        if self.optin && self.optout {
            return Err("ERR You can't specify both OPTIN mode and OPTOUT mode".into());
        }
        let switches =
            |present: &Self| (self.optin && present.optout) || (self.optout && present.optin);
        if present.is_some_and(switches) {
            return Err(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this \
                        client, and then re-enabling it with a different mode."
                    .into(),
            );
        }
        if self.bcast {
            let kept = present.map_or(&[][..], |present| &present.prefixes);
            check_overlaps(&self.prefixes, kept)?;
            if self.prefixes.is_empty() {
                self.prefixes.push(Vec::new());
            }
            self.prefixes.extend_from_slice(kept);
            self.prefixes.sort();
            self.prefixes.dedup();
        }
        Ok(self)
    }

    /// The request by which a server is told of these options.
    pub(super) fn request(&self) -> Vec<u8> {
        let mut args: Vec<&[u8]> = vec![b"CLIENT", b"TRACKING", b"ON"];
        for (wanted, word) in [
            (self.bcast, &b"BCAST"[..]),
            (self.optin, b"OPTIN"),
            (self.optout, b"OPTOUT"),
            (self.noloop, b"NOLOOP"),
        ] {
            if wanted {
                args.push(word);
            }
        }
        for prefix in self.prefixes.iter().filter(|prefix| !prefix.is_empty()) {
            args.extend([&b"PREFIX"[..], prefix]);
        }
        let mut request = Vec::new();
        write::request(&mut request, &args);
        request
    }
}

/// No prefix may be the beginning of another one.
fn check_overlaps(asked: &[Vec<u8>], kept: &[Vec<u8>]) -> Result<(), String> {
    let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
    let shown = |prefix: &[u8]| String::from_utf8_lossy(prefix).into_owned();
    for (place, prefix) in asked.iter().enumerate() {
        let kept = kept.iter().map(|other| (other, "an existing prefix"));
        let later = asked[place + 1..].iter().map(|other| (other, "another provided prefix"));
        for (other, which) in kept.chain(later) {
            if overlap(prefix, other) {
                return Err(format!(
                    "ERR Prefix '{}' overlaps with {which} '{}'. Prefixes for a single client must not \
                     overlap.",
                    shown(prefix),
                    shown(other)
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Span;

    fn read(line: &str, present: Option<&Options>) -> Result<Option<Asked>, String> {
        let mut args = Vec::new();
        let mut start = 0;
        for word in line.split(' ') {
            args.push(Span { start, len: word.len() as u32 });
            start += word.len() as u32 + 1;
        }
        Options::read(&Request { bytes: line.as_bytes(), args: &args }, present)
    }

    #[test]
    fn what_a_server_is_told_is_what_the_client_asked_for() {
        for (line, told) in [
            ("client tracking on", "CLIENT TRACKING ON"),
            ("client tracking ON optin NOLOOP", "CLIENT TRACKING ON OPTIN NOLOOP"),
            ("client tracking on optout", "CLIENT TRACKING ON OPTOUT"),
            ("client tracking on bcast", "CLIENT TRACKING ON BCAST"),
            (
                "client tracking on prefix b bcast prefix a",
                "CLIENT TRACKING ON BCAST PREFIX a PREFIX b",
            ),
        ] {
            let Asked { options, .. } = read(line, None).expect(line).expect("it is ON");
            let mut expected = Vec::new();
            write::request(&mut expected, &told.split(' ').map(str::as_bytes).collect::<Vec<_>>());
            assert_eq!(options.request(), expected, "{line}");
        }
        assert_eq!(read("client tracking off noloop", None), Ok(None));
    }

    #[test]
    fn prefixes_are_added_to_those_in_force_unless_they_overlap() {
        let first = read("client tracking on bcast prefix a", None).expect("fine").expect("ON");
        let first = first.options;
        let both = read("client tracking on bcast prefix b", Some(&first)).expect("fine");
        let both = both.expect("ON");
        assert_eq!(both.options.prefixes, [b"a".to_vec(), b"b".to_vec()]);
        let told = String::from_utf8(both.request).expect("text");
        assert!(told.ends_with("$6\r\nPREFIX\r\n$1\r\nb\r\n"), "the new one alone: {told}");
        assert!(read("client tracking on bcast prefix ab", Some(&first)).is_err());
        assert!(read("client tracking on bcast prefix x prefix xy", None).is_err());
    }
}
