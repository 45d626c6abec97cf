//! Requests, as a client sends them: arrays of bulk strings, and inline lines.
//!
//! [`Parser::parse`] reads one request in place. What it has read of an incomplete one stays in its
//! [`Progress`], so that a request of 100 MB or of a million arguments is read once however many
//! pieces it comes in. The words of every error are Redis 7's.

use super::LINE_BYTES_MAX;

/// Where one argument stands in its request's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Offset of its first byte.
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
}

/// One complete request, in place.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The bytes that the spans index.
    pub bytes: &'a [u8],
    /// The arguments, the command's name first; never empty.
    pub args: &'a [Span],
}

impl<'a> Request<'a> {
    /// How many arguments there are, the command's name included.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// Whether there is no argument at all (never so in a request from the parser).
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// Argument `i`; 0 is the command's name.
    #[inline]
    #[must_use]
    pub fn arg(&self, i: usize) -> &'a [u8] {
        let span = self.args[i];
        &self.bytes[span.start as usize..][..span.len as usize]
    }

    /// `count` arguments from `first` on (not the name) as the client wrote them: headers, line ends
    /// and all.
    #[inline]
    #[must_use]
    pub fn raw(&self, first: usize, count: usize) -> &'a [u8] {
        let end = |i: usize| {
            let span = self.args[i];
            span.start as usize + span.len as usize + 2
        };
        &self.bytes[end(first - 1)..end(first + count - 1)]
    }
}

/// What a session may send.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The greatest bulk string, in bytes; under 99 it counts as that.
    pub bulk_bytes_max: u64,
    /// The greatest number of arguments.
    pub args_max: i64,
    /// The greatest request, in bytes; at most `u32::MAX`, as spans are 32 bits wide.
    pub request_bytes_max: usize,
    /// Whether the session has yet to authenticate, which changes the words of the errors.
    pub unauthenticated: bool,
}

impl Limits {
    /// Redis's limit on the count of a request's arguments (`INT_MAX`).
    pub const ARGS_MAX: i64 = i32::MAX as i64;
    /// The same before AUTH.
    pub const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
    /// Redis's limit on a bulk string before AUTH, in bytes.
    pub const UNAUTHENTICATED_BULK_BYTES_MAX: u64 = 16 * 1024;
}

/// What the parser made of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// A request of this many bytes; its arguments are in the progress.
    Complete(usize),
    /// An empty request of this many bytes, to be skipped (`*0`, or an empty line).
    Empty(usize),
    /// An inline request: a line of this many bytes, its line end included.
    Inline(usize),
    /// More bytes are needed.
    Incomplete,
    /// The bytes are not RESP: the session is answered this and closed.
    Invalid(ProtocolError),
}

/// A breach of the protocol by a client, in Redis's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The count after `*` is no number or too great.
    #[error("Protocol error: invalid multibulk length")]
    MultibulkLength,
    /// The same, for a session that must authenticate first.
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// The line after `*` does not end.
    #[error("Protocol error: too big mbulk count string")]
    MultibulkLine,
    /// The length after `$` is no number or too great.
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
    /// The same, for a session that must authenticate first.
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// The line after `$` does not end.
    #[error("Protocol error: too big bulk count string")]
    BulkLine,
    /// An argument does not start with `$` but with this byte, which [`Self::text`] repeats as it is.
    #[error("Protocol error: expected '$', got '{}'", .0.escape_ascii())]
    ExpectedBulk(u8),
    /// An inline request does not end.
    #[error("Protocol error: too big inline request")]
    InlineLine,
    /// An inline request with a quote that does not close.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// A request as a whole is greater than the limit on what may wait in a session's input.
    #[error("Protocol error: request is greater than session_input_max")]
    RequestBytes,
}

impl ProtocolError {
    /// The error as clients get it, without the leading `-ERR ` and the line's end.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        match self {
            Self::ExpectedBulk(byte) => {
                let shown = if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte };
                [&b"Protocol error: expected '$', got '"[..], &[shown], b"'"].concat()
            }
            other => other.to_string().into_bytes(),
        }
    }
}

/// How far an incomplete request has been read.
#[derive(Debug, Default, Clone)]
pub struct Progress {
    /// The arguments read so far, relative to the request's first byte.
    pub args: Vec<Span>,
    /// How many bytes have been read.
    position: usize,
    /// How many arguments are still to come.
    missing: u32,
    /// Whether the header (`*n`) has been read.
    started: bool,
}

impl Progress {
    /// Forgets the request, and keeps the memory of `args`.
    #[inline]
    pub fn clear(&mut self) {
        self.args.clear();
        self.position = 0;
        self.missing = 0;
        self.started = false;
    }

    /// Whether the request's header has been read.
    #[inline]
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// The size that the request will have at least, in bytes: worth reserving for.
    #[must_use]
    pub fn bytes_expected(&self, bytes: &[u8], limits: &Limits) -> usize {
        if self.missing == 0 {
            return 0;
        }
        match number_line(&bytes[self.position.min(bytes.len())..]) {
            Line::Number(len, header) if len > 0 && len as u64 <= limits.bulk_bytes_max => {
                self.position + header + len as usize + 2
            }
            _ => 0,
        }
    }
}

enum Line {
    /// The number and the bytes of its line, type byte and line end included.
    Number(i64, usize),
    /// No whole line yet.
    Incomplete,
    /// A line that is not `<type><number>\r\n`.
    NotANumber,
}

/// Reads `<type>digits\r\n` at the start of `bytes`; the type byte has been checked by the caller
/// or will be. As in Redis, whatever stands after `\r` counts as `\n`.
#[inline(always)]
fn number_line(bytes: &[u8]) -> Line {
    // Nearly every number has one or two digits.
    if let Some(&[_, first, second, third]) = bytes.first_chunk::<4>() {
        let first = first.wrapping_sub(b'0');
        if first <= 9 && second == b'\r' {
            return Line::Number(i64::from(first), 4);
        }
        let second = second.wrapping_sub(b'0');
        if (1..=9).contains(&first) && second <= 9 && third == b'\r' && bytes.len() > 4 {
            return Line::Number(i64::from(first * 10 + second), 5);
        }
    }
    number_line_long(bytes)
}

/// [`number_line`] for up to nine digits.
#[inline(never)]
fn number_line_long(bytes: &[u8]) -> Line {
    let mut value: i64 = 0;
    for i in 1..bytes.len().min(11) {
        let digit = bytes[i].wrapping_sub(b'0');
        if digit <= 9 {
            if i == 2 && value == 0 {
                return number_line_slow(bytes);
            }
            value = value * 10 + i64::from(digit);
        } else if bytes[i] == b'\r' && i > 1 && i + 1 < bytes.len() {
            return Line::Number(value, i + 2);
        } else {
            return number_line_slow(bytes);
        }
    }
    number_line_slow(bytes)
}

#[cold]
fn number_line_slow(bytes: &[u8]) -> Line {
    let Some(end) = memchr::memchr(b'\r', bytes) else {
        return Line::Incomplete;
    };
    if end + 1 >= bytes.len() {
        return Line::Incomplete;
    }
    match bytes.get(1..end).and_then(strict_integer) {
        Some(value) => Line::Number(value, end + 2),
        None => Line::NotANumber,
    }
}

/// A decimal integer as Redis's `string2ll` takes it: no plus sign, no leading zeros, no spaces.
#[must_use]
pub fn strict_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let leading_zero = digits.first() == Some(&b'0') && text.len() > 1;
    if digits.is_empty() || digits.len() > 19 || leading_zero {
        return None;
    }
    // Nineteen digits fit into 64 bits without a sign.
    let mut value: u64 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    if negative { 0_i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// Reads one request from the start of `bytes`, going on where `progress` left off.
///
/// `bytes` must start with the same bytes each time until the request is complete; the caller then
/// takes the arguments from `progress` and clears it.
#[inline(always)]
pub fn parse(bytes: &[u8], progress: &mut Progress, limits: &Limits) -> Parsed {
    if !progress.started {
        match bytes.first() {
            None => return Parsed::Incomplete,
            Some(b'*') => {}
            Some(_) => return parse_inline(bytes),
        }
        match number_line(bytes) {
            Line::Number(count, len) => {
                if count > limits.args_max {
                    return Parsed::Invalid(
                        if limits.unauthenticated && count <= Limits::ARGS_MAX {
                            ProtocolError::UnauthenticatedMultibulkLength
                        } else {
                            ProtocolError::MultibulkLength
                        },
                    );
                }
                if count <= 0 {
                    return Parsed::Empty(len);
                }
                progress.started = true;
                progress.position = len;
                progress.missing = count as u32;
            }
            Line::Incomplete if bytes.len() > LINE_BYTES_MAX && !line_is_whole(bytes) => {
                return Parsed::Invalid(ProtocolError::MultibulkLine);
            }
            Line::Incomplete => return Parsed::Incomplete,
            Line::NotANumber => return Parsed::Invalid(ProtocolError::MultibulkLength),
        }
    }
    parse_arguments(bytes, progress, limits)
}

#[inline(always)]
fn parse_arguments(bytes: &[u8], progress: &mut Progress, limits: &Limits) -> Parsed {
    let mut position = progress.position;
    let mut missing = progress.missing;
    let parsed = loop {
        if missing == 0 {
            break Parsed::Complete(position);
        }
        let rest = &bytes[position..];
        let (len, header) = match short_bulk_header(rest) {
            Some(found) => found,
            None => match bulk_header(rest, limits) {
                Ok(found) => found,
                Err(parsed) => break parsed,
            },
        };
        let end = position + header + len + 2;
        if end > bytes.len() || end > limits.request_bytes_max {
            break if end > limits.request_bytes_max {
                Parsed::Invalid(ProtocolError::RequestBytes)
            } else {
                Parsed::Incomplete
            };
        }
        progress.args.push(Span { start: (position + header) as u32, len: len as u32 });
        missing -= 1;
        position = end;
    };
    progress.position = position;
    progress.missing = missing;
    parsed
}

/// Reads `$digits\r\n` of one or two digits, which is nearly every one; they are under any limit.
/// `None` says nothing.
#[inline(always)]
fn short_bulk_header(rest: &[u8]) -> Option<(usize, usize)> {
    // With its argument, even an empty one, a header is longer than this.
    let &[kind, first, second, third, _] = rest.first_chunk::<5>()?;
    let first = first.wrapping_sub(b'0');
    if kind != b'$' || first > 9 {
        return None;
    }
    if second == b'\r' {
        return Some((usize::from(first), 4));
    }
    let second = second.wrapping_sub(b'0');
    (first > 0 && second <= 9 && third == b'\r').then(|| (usize::from(first * 10 + second), 5))
}

/// Reads any header of an argument: its length and the bytes of its line.
#[inline(never)]
fn bulk_header(rest: &[u8], limits: &Limits) -> Result<(usize, usize), Parsed> {
    let (len, header) = match number_line(rest) {
        Line::Number(len, header) if rest[0] == b'$' => (len, header),
        line => return Err(bulk_header_fault(rest, &line)),
    };
    if len < 0 || len as u64 > limits.bulk_bytes_max {
        return Err(Parsed::Invalid(bulk_length_fault(len, limits)));
    }
    Ok((len as usize, header))
}

/// What an argument's header is, that is not `$<number>\r\n`.
#[cold]
fn bulk_header_fault(rest: &[u8], line: &Line) -> Parsed {
    // Redis looks for the line's end first and at its first byte afterwards.
    if matches!(line, Line::Incomplete) {
        if rest.len() > LINE_BYTES_MAX && !line_is_whole(rest) {
            return Parsed::Invalid(ProtocolError::BulkLine);
        }
        return Parsed::Incomplete;
    }
    match rest.first() {
        Some(b'$') => Parsed::Invalid(ProtocolError::BulkLength),
        Some(&other) => Parsed::Invalid(ProtocolError::ExpectedBulk(other)),
        None => Parsed::Incomplete,
    }
}

#[cold]
fn bulk_length_fault(len: i64, limits: &Limits) -> ProtocolError {
    if limits.unauthenticated && len > Limits::UNAUTHENTICATED_BULK_BYTES_MAX as i64 {
        ProtocolError::UnauthenticatedBulkLength
    } else {
        ProtocolError::BulkLength
    }
}

/// Whether only the `\n` after a `\r` is missing.
fn line_is_whole(bytes: &[u8]) -> bool {
    memchr::memchr(b'\r', bytes).is_some()
}

#[cold]
fn parse_inline(bytes: &[u8]) -> Parsed {
    match memchr::memchr(b'\n', bytes) {
        Some(end) => Parsed::Inline(end + 1),
        None if bytes.len() > LINE_BYTES_MAX => Parsed::Invalid(ProtocolError::InlineLine),
        None => Parsed::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        bulk_bytes_max: 512 << 20,
        args_max: Limits::ARGS_MAX,
        request_bytes_max: 1 << 30,
        unauthenticated: false,
    };

    fn whole(bytes: &[u8]) -> (Parsed, Vec<Vec<u8>>) {
        let mut progress = Progress::default();
        let parsed = parse(bytes, &mut progress, &LIMITS);
        let request = Request { bytes, args: &progress.args };
        (parsed, (0..request.len()).map(|i| request.arg(i).to_vec()).collect())
    }

    #[test]
    fn an_array_of_bulk_strings_is_read_in_place() {
        let bytes = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\nrest";
        let (parsed, args) = whole(bytes);
        assert_eq!(parsed, Parsed::Complete(bytes.len() - 4));
        assert_eq!(args, [b"SET".to_vec(), b"k".to_vec(), b"".to_vec()]);
    }

    #[test]
    fn the_raw_bytes_of_arguments_are_those_between_their_neighbours() {
        let bytes = b"*4\r\n$4\r\nMSET\r\n$1\r\nk\r\n$11\r\nhello world\r\n$0\r\n\r\n";
        let mut progress = Progress::default();
        assert_eq!(parse(bytes, &mut progress, &LIMITS), Parsed::Complete(bytes.len()));
        let request = Request { bytes, args: &progress.args };
        assert_eq!(request.raw(1, 1), b"$1\r\nk\r\n");
        assert_eq!(request.raw(1, 2), b"$1\r\nk\r\n$11\r\nhello world\r\n");
        assert_eq!(request.raw(3, 1), b"$0\r\n\r\n");
    }

    #[test]
    fn integers_are_read_to_the_ends_of_their_range() {
        for (text, value) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("-0", None),
            ("+1", None),
            ("01", None),
            ("-", None),
            ("1a", None),
        ] {
            assert_eq!(strict_integer(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn a_request_in_pieces_is_read_as_if_it_came_whole() {
        let bytes = b"*3\r\n$3\r\nSET\r\n$12\r\nkey\r\n$5\r\nabc\r\n$0\r\n\r\n";
        for step in 1..bytes.len() {
            let mut progress = Progress::default();
            let mut end = 0;
            loop {
                end = (end + step).min(bytes.len());
                match parse(&bytes[..end], &mut progress, &LIMITS) {
                    Parsed::Incomplete => assert!(end < bytes.len(), "step {step}"),
                    parsed => {
                        assert_eq!(parsed, Parsed::Complete(bytes.len()), "step {step}");
                        assert_eq!(end, bytes.len());
                        assert_eq!(progress.args.len(), 3);
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn every_breach_of_the_protocol_has_its_own_words() {
        for (bytes, words) in [
            (&b"*abc\r\n"[..], "invalid multibulk length"),
            (b"*\r\n", "invalid multibulk length"),
            (b"*01\r\n", "invalid multibulk length"),
            (b"*+1\r\n", "invalid multibulk length"),
            (b"*2147483648\r\n", "invalid multibulk length"),
            (b"*99999999999999999999\r\n", "invalid multibulk length"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$x\r\n", "invalid bulk length"),
            (b"*1\r\n$536870913\r\n", "invalid bulk length"),
            (b"*1\r\n:1\r\n", "expected '$', got ':'"),
            (b"*1\r\n3\r\n", "expected '$', got '3'"),
            (b"*1\r\n\r\n", "expected '$', got '\\r'"),
        ] {
            let (Parsed::Invalid(error), _) = whole(bytes) else {
                panic!("accepted {}", bytes.escape_ascii())
            };
            assert_eq!(error.to_string(), format!("Protocol error: {words}"));
        }
        let long = [b"*".to_vec(), b"1".repeat(LINE_BYTES_MAX + 1)].concat();
        assert_eq!(whole(&long).0, Parsed::Invalid(ProtocolError::MultibulkLine));
        let long = [b"*1\r\n$".to_vec(), b"1".repeat(LINE_BYTES_MAX + 1)].concat();
        assert_eq!(whole(&long).0, Parsed::Invalid(ProtocolError::BulkLine));
        let long = b"x".repeat(LINE_BYTES_MAX + 1);
        assert_eq!(whole(&long).0, Parsed::Invalid(ProtocolError::InlineLine));
    }

    #[test]
    fn before_auth_the_limits_are_lower() {
        let limits = Limits {
            bulk_bytes_max: Limits::UNAUTHENTICATED_BULK_BYTES_MAX,
            args_max: Limits::UNAUTHENTICATED_ARGS_MAX,
            unauthenticated: true,
            ..LIMITS
        };
        let one = |bytes: &[u8]| parse(bytes, &mut Progress::default(), &limits);
        assert_eq!(one(b"*10\r\n"), Parsed::Incomplete);
        assert_eq!(one(b"*11\r\n"), Parsed::Invalid(ProtocolError::UnauthenticatedMultibulkLength));
        assert_eq!(one(b"*1\r\n$16384\r\n"), Parsed::Incomplete);
        assert_eq!(
            one(b"*1\r\n$16385\r\n"),
            Parsed::Invalid(ProtocolError::UnauthenticatedBulkLength)
        );
    }

    #[test]
    fn empty_arrays_and_lines_are_skipped() {
        assert_eq!(whole(b"*0\r\n").0, Parsed::Empty(4));
        assert_eq!(whole(b"*-1\r\nx").0, Parsed::Empty(5));
        assert_eq!(whole(b"\r\nPING\r\n").0, Parsed::Inline(2));
        assert_eq!(whole(b"PING\nrest").0, Parsed::Inline(5));
        assert_eq!(whole(b"PING").0, Parsed::Incomplete);
    }
}
