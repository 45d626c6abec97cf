//! Inline requests: a line of words, with quotes and escapes as Redis reads them.

use super::request::ProtocolError;

/// Splits a line into its words.
///
/// Words stand between white space. In double quotes `\xHH`, `\n`, `\r`, `\t`, `\b`, `\a` and
/// `\<any>` are escapes; in single quotes only `\'` is one. A closing quote must be followed by white
/// space or the line's end.
///
/// # Errors
/// [`ProtocolError::UnbalancedQuotes`].
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let skip = rest.iter().take_while(|byte| is_space(**byte)).count();
        rest = &rest[skip..];
        // Redis's lines are C strings: a NUL ends them.
        if rest.first().is_none_or(|&byte| byte == 0) {
            return Ok(words);
        }
        let (word, used) = one_word(rest)?;
        words.push(word);
        rest = &rest[used..];
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Reads one word, which starts at the first byte; answers it and its length in the line.
fn one_word(line: &[u8]) -> Result<(Vec<u8>, usize), ProtocolError> {
    let mut word = Vec::new();
    let mut i = 0;
    while let Some(&byte) = line.get(i) {
        match byte {
            b'"' | b'\'' => {
                i += quoted(&line[i + 1..], byte, &mut word)? + 1;
                return match line.get(i) {
                    Some(&next) if !is_space(next) && next != 0 => {
                        Err(ProtocolError::UnbalancedQuotes)
                    }
                    _ => Ok((word, i)),
                };
            }
            0 => break,
            _ if is_space(byte) => break,
            _ => word.push(byte),
        }
        i += 1;
    }
    Ok((word, i))
}

/// Reads up to and including the closing quote; answers how many bytes that were.
fn quoted(line: &[u8], quote: u8, word: &mut Vec<u8>) -> Result<usize, ProtocolError> {
    let mut i = 0;
    loop {
        let byte = *line.get(i).ok_or(ProtocolError::UnbalancedQuotes)?;
        i += 1;
        if byte == quote {
            return Ok(i);
        }
        match (byte, line.get(i)) {
            (0, _) => return Err(ProtocolError::UnbalancedQuotes),
            (b'\\', Some(b'\'')) if quote == b'\'' => {
                word.push(b'\'');
                i += 1;
            }
            (b'\\', Some(&escaped)) if quote == b'"' => {
                let (value, used) = escape(escaped, &line[i + 1..]);
                word.push(value);
                i += used;
            }
            _ => word.push(byte),
        }
    }
}

/// The byte that `\<escaped>` stands for, and how many bytes after the backslash it takes.
fn escape(escaped: u8, after: &[u8]) -> (u8, usize) {
    let hex = |i: usize| after.get(i).and_then(|byte| char::from(*byte).to_digit(16));
    match escaped {
        b'x' => match (hex(0), hex(1)) {
            (Some(high), Some(low)) => ((high * 16 + low) as u8, 3),
            _ => (b'x', 1),
        },
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'b' => (0x08, 1),
        b'a' => (0x07, 1),
        other => (other, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let words = split(line.as_bytes()).expect("balanced");
        words.iter().map(|word| word.escape_ascii().to_string()).collect()
    }

    #[test]
    fn words_stand_between_white_space() {
        assert_eq!(words("  set\tkey   value \r\n"), ["set", "key", "value"]);
        assert!(words(" \r\n").is_empty());
    }

    #[test]
    fn quotes_and_escapes_are_read_as_redis_reads_them() {
        assert_eq!(words(r#"set "a b" 'c d'"#), ["set", "a b", "c d"]);
        assert_eq!(words(r#""\x41\x0a\n\\\"""#), [r#"A\n\n\\\""#]);
        assert_eq!(words(r#"'\x41\''"#), [r"\\x41\'"]);
        assert_eq!(words(r#""""#), [""]);
    }

    #[test]
    fn a_quote_must_close_and_be_followed_by_space() {
        for line in [r#"set "a"#, "set 'a", r#"set "a"b"#, r#"""""#, "\"a\\"] {
            assert_eq!(split(line.as_bytes()), Err(ProtocolError::UnbalancedQuotes), "{line}");
        }
    }
}
