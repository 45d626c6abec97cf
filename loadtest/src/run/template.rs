//! Requests as bytes, made once and filled in for each use.
//!
//! A template is a command as one would type it, with places: `SET {key} {value}`, `MGET [{key}]*10`. It is compiled
//! into pieces of RESP that stay the same and places that do not, so that a request costs some copies.

use crate::run::{Keys, Values};

/// Digits of `{key}` and `{number}`: as redis-benchmark writes them.
const DIGITS: usize = 12;
/// Digits of `{field}`.
const FIELD_DIGITS: usize = 4;
/// How many fields there are.
const FIELDS: u64 = 100;
/// The most words that a template may have when all is repeated.
const WORDS_MAX: usize = 100_000;

/// A request with places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Bytes that are always the same.
    Fixed(Vec<u8>),
    /// The number of a key.
    Key,
    /// The number of a field.
    Field,
    /// Any number below that of the keys.
    Number,
    /// A value with its header.
    Value,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// There is no word in it.
    #[error("a command needs at least its name")]
    Empty,
    /// `{...}` with something else in it.
    #[error(
        "`{{{0}}}` is no place: there are {{key}}, {{value}}, {{field}} and {{number}}, and [...]*N repeats words"
    )]
    UnknownPlace(String),
    /// A brace or a bracket without its partner.
    #[error("`{0}` is not closed")]
    NotClosed(String),
    /// `{value}` beside other text.
    #[error("{{value}} has to be an argument by itself, not a part of `{0}`")]
    ValueWithin(String),
    /// `[...]` without a count behind it.
    #[error("`{0}` should be followed by a count of 1 to 10000, as in [{{key}}]*10")]
    NoCount(String),
    /// More words than anybody needs.
    #[error("this makes more than {WORDS_MAX} words")]
    TooLong,
}

impl Template {
    /// Compiles `text`; `prefix` is what `{key}` begins with.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn compile(text: &str, prefix: &str) -> Result<Self, BadTemplate> {
        let words = repeat_words(text)?;
        if words.is_empty() {
            return Err(BadTemplate::Empty);
        }
        let mut pieces = Pieces::default();
        pieces.fixed(format!("*{}\r\n", words.len()).as_bytes());
        for word in &words {
            compile_word(word, prefix, &mut pieces)?;
        }
        Ok(Self { pieces: pieces.0 })
    }

    /// Appends a request.
    #[inline]
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        keys: &mut Keys,
        values: &Values,
        rng: &mut fastrand::Rng,
    ) {
        for piece in &self.pieces {
            match piece {
                Piece::Fixed(bytes) => out.extend_from_slice(bytes),
                Piece::Key => digits::<DIGITS>(out, keys.next(rng)),
                Piece::Number => digits::<DIGITS>(out, rng.u64(0..keys.count())),
                Piece::Field => digits::<FIELD_DIGITS>(out, rng.u64(0..FIELDS)),
                Piece::Value => values.write(out, rng),
            }
        }
    }
}

/// Pieces in which neighbours that stay the same are one.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn fixed(&mut self, bytes: &[u8]) {
        if let Some(Piece::Fixed(last)) = self.0.last_mut() {
            last.extend_from_slice(bytes);
        } else {
            self.0.push(Piece::Fixed(bytes.to_vec()));
        }
    }
}

#[inline]
fn digits<const N: usize>(out: &mut Vec<u8>, mut number: u64) {
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text);
}

fn compile_word(word: &str, prefix: &str, pieces: &mut Pieces) -> Result<(), BadTemplate> {
    if word == "{value}" {
        pieces.0.push(Piece::Value);
        pieces.fixed(b"\r\n");
        return Ok(());
    }
    let mut parts = Vec::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) =
            after.split_once('}').ok_or_else(|| BadTemplate::NotClosed(word.to_owned()))?;
        parts.push(Piece::Fixed(before.as_bytes().to_vec()));
        match name {
            "key" => {
                parts.push(Piece::Fixed(prefix.as_bytes().to_vec()));
                parts.push(Piece::Key);
            }
            "field" => parts.push(Piece::Field),
            "number" => parts.push(Piece::Number),
            "value" => return Err(BadTemplate::ValueWithin(word.to_owned())),
            other => return Err(BadTemplate::UnknownPlace(other.to_owned())),
        }
        rest = behind;
    }
    parts.push(Piece::Fixed(rest.as_bytes().to_vec()));
    let len: usize = parts.iter().map(width).sum();
    pieces.fixed(format!("${len}\r\n").as_bytes());
    for part in parts {
        match part {
            Piece::Fixed(bytes) => pieces.fixed(&bytes),
            place => pieces.0.push(place),
        }
    }
    pieces.fixed(b"\r\n");
    Ok(())
}

fn width(piece: &Piece) -> usize {
    match piece {
        Piece::Fixed(bytes) => bytes.len(),
        Piece::Key | Piece::Number => DIGITS,
        Piece::Field => FIELD_DIGITS,
        Piece::Value => 0,
    }
}

/// The words of a template, with `[...]*N` written out.
fn repeat_words(text: &str) -> Result<Vec<String>, BadTemplate> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let not_closed = || BadTemplate::NotClosed(format!("[{after}"));
        let (group, behind) = after.split_once(']').ok_or_else(not_closed)?;
        words.extend(before.split_whitespace().map(str::to_owned));
        let no_count = || BadTemplate::NoCount(format!("[{group}]"));
        let behind = behind.strip_prefix('*').ok_or_else(no_count)?;
        let end = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
        let count: usize = behind[..end].parse().map_err(|_| no_count())?;
        if !(1..=10_000).contains(&count) {
            return Err(no_count());
        }
        for _ in 0..count {
            words.extend(group.split_whitespace().map(str::to_owned));
            if words.len() > WORDS_MAX {
                return Err(BadTemplate::TooLong);
            }
        }
        rest = &behind[end..];
    }
    words.extend(rest.split_whitespace().map(str::to_owned));
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::{BadTemplate, Template};
    use crate::run::{Keys, Values};

    fn write(text: &str) -> String {
        let template = Template::compile(text, "key:").expect("the template is good");
        let mut keys = Keys::new(&"seq".parse().expect("it is known"), 100, 0, 1);
        let values = Values::new(&"3".parse().expect("it is a size"), 1);
        let mut out = Vec::new();
        template.write(&mut out, &mut keys, &values, &mut fastrand::Rng::with_seed(1));
        String::from_utf8(out).expect("keys and values are text")
    }

    #[test]
    fn places_are_filled_and_their_lengths_are_right() {
        let text = write("SET {key} {value}");
        let head = "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$3\r\n";
        assert!(text.starts_with(head) && text.len() == head.len() + 5, "{text:?}");
        assert_eq!(write("DEL a:{key}"), "*2\r\n$3\r\nDEL\r\n$18\r\na:key:000000000000\r\n");
    }

    #[test]
    fn words_in_brackets_are_repeated() {
        let expected = "*3\r\n$4\r\nMGET\r\n$16\r\nkey:000000000000\r\n$16\r\nkey:000000000001\r\n";
        assert_eq!(write("MGET [{key}]*2"), expected);
        assert_eq!(write("A [b c]*2 d").matches("$1\r\n").count(), 6);
    }

    #[test]
    fn what_is_no_template_is_refused_in_words() {
        let refused = |text: &str| Template::compile(text, "").expect_err("it is no template");
        assert_eq!(refused(" "), BadTemplate::Empty);
        assert_eq!(refused("GET {kex}"), BadTemplate::UnknownPlace("kex".to_owned()));
        assert_eq!(refused("GET {key"), BadTemplate::NotClosed("{key".to_owned()));
        assert_eq!(refused("SET k a{value}"), BadTemplate::ValueWithin("a{value}".to_owned()));
        assert!(matches!(refused("MGET [{key}]"), BadTemplate::NoCount(_)));
        assert!(matches!(refused("MGET [{key}]*0"), BadTemplate::NoCount(_)));
        assert!(matches!(refused("MGET [{key}"), BadTemplate::NotClosed(_)));
        assert_eq!(refused("A [b c d e f g h i j k l]*10000"), BadTemplate::TooLong);
    }
}
