//! Requests, as a client sends them.

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
    /// The buffer that the spans index; the request's own bytes are a part of it.
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
        &self.bytes[span.start as usize..(span.start + span.len) as usize]
    }
}
