//! Redis's patterns: `*`, `?`, `[a-z]`, `[^a-z]` and `\` before any of them. Upper and lower case are
//! the same here, as they are in names of settings.

/// Whether all of `text` matches `pattern`. Takes time in proportion to both lengths multiplied at the
/// worst, as only the last `*` is ever tried anew.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        let step = match text.get(t) {
            Some(&byte) => one(&pattern[p..], byte),
            None if p == pattern.len() => return true,
            None => return false,
        };
        match (step, retry) {
            (Some(used), _) => {
                p += used;
                t += 1;
            }
            // Let the last star take one byte more.
            (None, Some((after_star, taken))) => {
                retry = Some((after_star, taken + 1));
                (p, t) = (after_star, taken + 1);
            }
            (None, None) => return false,
        }
    }
}

/// If the first element of `pattern` matches `byte`, how long that element is.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    let same = |other: u8| other.eq_ignore_ascii_case(&byte);
    match *pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => same(escaped).then_some(2),
        [b'[', ref class @ ..] => {
            let (is_in, used) = in_class(class, byte.to_ascii_lowercase());
            is_in.then_some(1 + used)
        }
        [literal, ..] => same(literal).then_some(1),
    }
}

/// Whether `byte` is in the class that begins `class`, and how long the class is. As in Redis, one that
/// is never closed ends with the pattern.
fn in_class(class: &[u8], byte: u8) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match class[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                found |= escaped.to_ascii_lowercase() == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= literal.to_ascii_lowercase() == byte;
                at += 1;
            }
        }
    }
    (found != negated, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "anything"),
            ("max*", "maxclients"),
            ("*log*", "slowlog-max-len"),
            ("s*w*n", "slowlog-log-slower-than"),
            ("MAXCLIENTS", "maxclients"),
            ("?ave", "save"),
            ("[rs]ave", "save"),
            ("[a-s]ave", "save"),
            ("[s-a]ave", "save"),
            ("[^a-r]ave", "save"),
            ("\\*", "*"),
            ("[\\]]", "]"),
            ("[abc", "b"),
            ("a**b", "aXb"),
        ] {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", ""),
            ("max*x", "maxclients"),
            ("?", ""),
            ("??", "a"),
            ("[^s]ave", "save"),
            ("\\*", "a"),
            ("[ab]", "c"),
            ("a*b", "ac"),
        ] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_matches_itself_with_every_byte_escaped(text: Vec<u8>) {
            let escaped: Vec<u8> = text.iter().flat_map(|&byte| [b'\\', byte]).collect();
            prop_assert!(matches(&escaped, &text));
        }

        #[test]
        fn a_hostile_pattern_ends_without_panic(pattern in "[*?a\\[\\]^\\\\-]{0,60}", text in "a{0,60}") {
            let _ = matches(pattern.as_bytes(), text.as_bytes());
        }
    }
}
