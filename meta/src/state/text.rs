//! The texts of the state: names, what proxies tell about themselves, reasons.

use super::limits::{NAME_BYTES_MAX, REASON_BYTES_MAX, TEXT_BYTES_MAX};
use super::refusal::Refusal;
use codis_proto::meta::v1::RefusalCode as Code;

/// Checks a name: letters, digits, `_`, `-` and `.`. These also stand unquoted in the name of a
/// connection, so that a proxy's token can be found there.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let good = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(known);
    Refusal::unless(good, Code::InvalidValue, || {
        format!(
            "{name:?} is not a {what}: give 1 to {NAME_BYTES_MAX} letters, digits, \"_\", \"-\" or \".\""
        )
    })
}

/// Checks a text that is only shown.
pub(super) fn check_text(what: &str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    debug_assert!(bytes_max <= TEXT_BYTES_MAX, "no text is longer than the bound of all texts");
    let good = text.len() <= bytes_max && !text.chars().any(char::is_control);
    Refusal::unless(good, Code::InvalidValue, || {
        format!("the {what} is longer than {bytes_max} bytes or has control characters: shorten it")
    })
}

/// A reason as it is kept: never empty, and cut at the bound.
pub(crate) fn reason(text: &str) -> String {
    if text.is_empty() {
        return "no reason was given".into();
    }
    let mut end = text.len().min(REASON_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Some of `names` and how many more there are, for a sentence.
pub(super) fn some_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 5;
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names[..names.len().min(SHOWN_MAX)].join(", ");
    match names.len().saturating_sub(SHOWN_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_letters_digits_and_three_signs() {
        assert_eq!(check_name("token", "a-B_9.x"), Ok(()));
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for name in ["", "a b", "a:b", "\u{e9}", long.as_str()] {
            assert!(check_name("token", name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(reason(""), "no reason was given");
        assert_eq!(reason("why"), "why");
        let cut = reason(&"\u{20ac}".repeat(REASON_BYTES_MAX));
        assert!(cut.len() <= REASON_BYTES_MAX && cut.len() > REASON_BYTES_MAX - 3);
    }

    #[test]
    fn long_lists_of_names_are_shortened() {
        assert_eq!(some_of(["a", "b"]), "a, b");
        assert_eq!(some_of(["1", "2", "3", "4", "5", "6", "7"]), "1, 2, 3, 4, 5 and 2 more");
    }
}
