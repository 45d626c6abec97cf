//! Redis's glob patterns: in any letter case as CONFIG GET and COMMAND LIST take them, or in one as keys are matched.

/// Whether `text` matches `pattern`: `*`, `?`, `[abc]`, `[^a-z]` and `\` before any of these.
///
/// A malformed class ends with the pattern, as in Redis. Runs in time proportional to the product
/// of both lengths at worst.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_as(pattern, text, Case::Any)
}

/// The same, letters being what they are.
#[must_use]
pub fn matches_exactly(pattern: &[u8], text: &[u8]) -> bool {
    matches_as(pattern, text, Case::Same)
}

/// Which letters are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Any,
    Same,
}

impl Case {
    fn fold(self, byte: u8) -> u8 {
        match self {
            Self::Any => byte.to_ascii_lowercase(),
            Self::Same => byte,
        }
    }
}

fn matches_as(pattern: &[u8], text: &[u8], case: Case) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last star, one byte of text later than before.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        let step = match text.get(t) {
            Some(&byte) => one(&pattern[p..], byte, case),
            None if p == pattern.len() => return true,
            None => None,
        };
        match (step, retry) {
            (Some(len), _) => (p, t) = (p + len, t + 1),
            (None, Some((after_star, from))) if from < text.len() => {
                (p, t) = (after_star, from + 1);
                retry = Some((p, t));
            }
            (None, _) => return false,
        }
    }
}

/// How long the pattern's first element is, if it matches `byte`; it is no star.
fn one(pattern: &[u8], byte: u8, case: Case) -> Option<usize> {
    let same = |other: u8| case.fold(other) == case.fold(byte);
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => {
            let (matched, len) = in_class(class, byte, case);
            matched.then_some(1 + len)
        }
        [b'\\', escaped, ..] => same(*escaped).then_some(2),
        [plain, ..] => same(*plain).then_some(1),
    }
}

/// Whether the class (what stands after `[`) has `byte`, and its length with `]`.
fn in_class(class: &[u8], byte: u8, case: Case) -> (bool, usize) {
    let not = class.first() == Some(&b'^');
    let mut i = usize::from(not);
    let mut found = false;
    loop {
        match &class[i.min(class.len())..] {
            [] => break,
            [b'\\', escaped, ..] => {
                // Redis compares these alone with regard to case.
                found |= *escaped == byte;
                i += 2;
            }
            [b']', ..] => {
                i += 1;
                break;
            }
            [from, b'-', to, ..] => {
                let (from, to) = (case.fold(*from), case.fold(*to));
                found |= (from.min(to)..=from.max(to)).contains(&case.fold(byte));
                i += 3;
            }
            [plain, ..] => {
                found |= case.fold(*plain) == case.fold(byte);
                i += 1;
            }
        }
    }
    (found != not, i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_bytes_and_a_question_mark_for_one() {
        for (pattern, text) in [
            ("*", ""),
            ("a*c", "abbbc"),
            ("*a*b*", "xxaybz"),
            ("h?llo", "hello"),
            ("GET*", "getex"),
        ] {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", ""), ("a*c", "abcd"), ("?", ""), ("a?c", "ac")] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn a_class_stands_for_one_of_its_bytes() {
        for (pattern, text) in
            [("[ab]", "a"), ("[^ab]", "c"), ("[c-a]x", "bx"), ("[]", ""), ("\\*", "*"), ("[a", "a")]
        {
            let expected = pattern != "[]";
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let text = vec![b'a'; 5_000];
        assert!(!matches(&[b"*a".repeat(20), b"*b".to_vec()].concat(), &text));
    }
}
