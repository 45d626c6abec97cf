//! The little of an HTTP client that reports need: one POST on a connection of its own.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How much of an answer is read, to find its status.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Where to post to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `host:port` to connect to.
    authority: String,
    /// The path, with what stands behind it, and without a slash at its end.
    path: String,
}

impl Endpoint {
    /// Reads `http://host[:port][/path]`.
    ///
    /// # Errors
    /// A sentence that quotes the URL.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let rest = match url.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => {
                return Err(format!("\"{url}\": {scheme} is not supported; use http"));
            }
            // Go's programs took addresses without a scheme too.
            None => url,
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let is_plain = |c: char| c.is_ascii_graphic() && c != '@';
        if authority.is_empty() || !rest.chars().all(is_plain) {
            return Err(format!("\"{url}\" is not a URL such as http://localhost:8086"));
        }
        let has_port =
            authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let port = if has_port { "" } else { ":80" };
        Ok(Self {
            authority: format!("{authority}{port}"),
            path: path.trim_end_matches('/').to_owned(),
        })
    }

    /// Posts `body` to the endpoint's path with `below` behind it.
    ///
    /// # Errors
    /// A sentence that names the endpoint: it cannot be reached, or does not answer 2xx.
    pub(super) async fn post(
        &self,
        below: &str,
        content_type: &str,
        authorization: Option<&str>,
        body: &[u8],
    ) -> Result<(), String> {
        let authority = &self.authority;
        let path = format!("{}{below}", self.path);
        let path = if path.is_empty() { "/" } else { &path };
        let authorization =
            authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: codis-proxy\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n{authorization}\
             Connection: close\r\n\r\n",
            body.len()
        );
        let failed = |error: std::io::Error| format!("{authority}: {error}");
        let mut stream = TcpStream::connect(authority).await.map_err(failed)?;
        stream.write_all(head.as_bytes()).await.map_err(failed)?;
        stream.write_all(body).await.map_err(failed)?;
        let mut answer = Vec::new();
        let mut answer_start = (&mut stream).take(ANSWER_BYTES_MAX as u64);
        // The status line is enough: a receiver may close without having sent the rest.
        while !answer.contains(&b'\n') {
            if answer_start.read_buf(&mut answer).await.map_err(failed)? == 0 {
                break;
            }
        }
        check_status(&answer).map_err(|status| format!("{authority}{path} answered {status}"))
    }
}

/// Whether `answer` begins with a status of success; what it begins with, if not.
fn check_status(answer: &[u8]) -> Result<(), String> {
    let line = answer.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line).trim_end().to_owned();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..));
    if status.is_some_and(|status| status.starts_with('2')) {
        return Ok(());
    }
    Err(if line.is_empty() { "nothing".into() } else { format!("\"{line}\"") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(authority: &str, path: &str) -> Endpoint {
        Endpoint { authority: authority.into(), path: path.into() }
    }

    #[test]
    fn urls_are_read_with_and_without_port_and_path() {
        for (url, expected) in [
            ("http://localhost:8086", endpoint("localhost:8086", "")),
            ("http://localhost:8086/", endpoint("localhost:8086", "")),
            ("http://metrics/in?x=1", endpoint("metrics:80", "/in?x=1")),
            ("http://[::1]:8086/a/", endpoint("[::1]:8086", "/a")),
            ("http://[::1]", endpoint("[::1]:80", "")),
            ("localhost:28000", endpoint("localhost:28000", "")),
        ] {
            assert_eq!(Endpoint::parse(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused() {
        for url in
            ["https://localhost", "http://", "http:///path", "http://a b", "http://u:p@host", ""]
        {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn only_a_status_of_success_counts() {
        assert_eq!(check_status(b"HTTP/1.1 204 No Content\r\n"), Ok(()));
        assert_eq!(check_status(b"HTTP/1.0 200 OK\r\n"), Ok(()));
        let refused = check_status(b"HTTP/1.1 401 Unauthorized\r\nX: y");
        assert_eq!(refused, Err("\"HTTP/1.1 401 Unauthorized\"".into()));
        assert_eq!(check_status(b""), Err("nothing".into()));
    }
}
