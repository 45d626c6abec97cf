//! The product's password as a bearer token: every call carries it where one is set, between members, from proxies and
//! from operators alike.

use std::fmt;

use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Where a call carries the token.
const KEY: &str = "authorization";
const SCHEME: &[u8] = b"Bearer ";

/// The password cannot be carried by a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("product_auth holds a control character, which no call can carry: choose another password")]
pub struct Unfit;

/// The product's token, or that there is none. As an interceptor of a client it puts the token on each call; what a
/// server does with it is [`Guard`]'s.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Token {
    header: Option<MetadataValue<Ascii>>,
}

/// The check of a server: refuses calls without the product's token.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    token: Token,
}

impl Token {
    /// The token that `product_auth` is; an empty one means that none is asked for.
    ///
    /// # Errors
    /// A header cannot carry it.
    pub fn new(product_auth: &str) -> Result<Self, Unfit> {
        if product_auth.is_empty() {
            return Ok(Self::default());
        }
        let bytes = [SCHEME, product_auth.as_bytes()].concat();
        let mut header = MetadataValue::try_from(bytes.as_slice()).map_err(|_| Unfit)?;
        // Keeps it out of logs, and out of HTTP/2's table of headers.
        header.set_sensitive(true);
        Ok(Self { header: Some(header) })
    }

    /// The check of calls for this token.
    #[must_use]
    pub fn guard(&self) -> Guard {
        Guard { token: self.clone() }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.header.is_some() { "Token(set)" } else { "Token(none)" })
    }
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.header {
            request.metadata_mut().insert(KEY, header.clone());
        }
        Ok(request)
    }
}

impl Guard {
    /// Whether a call with this metadata may go on.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, with what to do.
    pub fn check(&self, metadata: &tonic::metadata::MetadataMap) -> Result<(), Status> {
        let Some(expected) = &self.token.header else { return Ok(()) };
        let Some(given) = metadata.get(KEY) else {
            return Err(Status::unauthenticated(
                "this group wants a token: send the product's password (product_auth) as authorization: Bearer",
            ));
        };
        // The time that this takes says nothing of how much of a guess was right.
        if bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return Ok(());
        }
        Err(Status::unauthenticated(
            "the token is not this group's: it is the product's password (product_auth)",
        ))
    }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.check(request.metadata())?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn passes(server: &str, client: &str) -> Result<(), Code> {
        let mut client = Token::new(client).expect("fit for a header");
        let mut guard = Token::new(server).expect("fit for a header").guard();
        let request = client.call(Request::new(())).expect("a token is put on every call");
        guard.call(request).map(drop).map_err(|status| status.code())
    }

    #[test]
    fn the_products_own_token_passes() {
        assert_eq!(passes("secret", "secret"), Ok(()));
        assert_eq!(passes("päss wörd", "päss wörd"), Ok(()));
    }

    #[test]
    fn without_a_password_every_call_passes() {
        assert_eq!(passes("", ""), Ok(()));
        assert_eq!(passes("", "anything"), Ok(()));
    }

    #[test]
    fn another_token_or_none_is_unauthenticated() {
        for wrong in ["", "secre", "secret2", "Secret"] {
            assert_eq!(passes("secret", wrong), Err(Code::Unauthenticated), "{wrong:?}");
        }
    }

    #[test]
    fn a_password_that_no_header_can_carry_is_refused() {
        assert_eq!(Token::new("a\nb"), Err(Unfit));
    }

    #[test]
    fn a_token_is_not_printed() {
        let token = Token::new("secret").expect("fit for a header");
        assert!(!format!("{token:?} {:?}", token.guard()).contains("secret"));
    }
}
