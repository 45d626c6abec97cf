//! The move script, by which proxies and the migrator move keys from one server to another: what it is given
//! and what it answers. See docs/migration.md.

/// The script's text.
pub const SCRIPT: &str = concat!(include_str!("moves/size.lua"), include_str!("moves/move.lua"));

/// A script that answers of each of its keys how many bytes it takes, nil where there is none. MEMORY USAGE, for servers
/// that do not know it.
pub const SIZES: &str = concat!(
    include_str!("moves/size.lua"),
    "local sizes = {} \
     for i, key in ipairs(KEYS) do sizes[i] = size_of(key) or false end \
     return sizes"
);

/// The script's SHA1 in hexadecimal, by which EVALSHA calls it.
pub const SCRIPT_SHA1: &str = "b5a0a196e96678c26e57846a7b8c6774014758dc";

/// The word that an error reply begins with where the source is not clean towards the target. Nothing was done.
pub const UNCLEAN: &str = "CODISUNCLEAN";

/// The word that an error reply begins with where the outcome of a MIGRATE is not known. The source is unclean now.
pub const UNKNOWN: &str = "CODISUNKNOWN";

/// The word that an error reply begins with where the target refused one of several keys, which hides whether the outcome is
/// known for the others. The source is unclean now; once it is clean these keys are to be moved one by one.
pub const SEVERAL: &str = "CODISSEVERAL";

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The source does not have it.
    NotHere,
    /// It is at the target now.
    There,
    /// The target had it before; the source's copy is stale.
    WasThere,
    /// It is big, and was left alone.
    Big,
    /// It could not be moved; the answer's words say why.
    Failed,
    /// The budget of bytes was used up.
    NotTried,
}

impl Moved {
    /// Reads the script's number for a key. `None` for a number that it does not answer.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::NotHere,
            1 => Self::There,
            2 => Self::WasThere,
            3 => Self::Big,
            4 => Self::Failed,
            5 => Self::NotTried,
            _ => return None,
        })
    }
}

/// Where keys move to, and by what rules.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The target as the topology has it, `host:port`; its field in the clean hash.
    pub address: &'a str,
    /// The database on both sides.
    pub database: u32,
    /// The target's password; empty where it asks for none.
    pub password: &'a str,
    /// How long the source may wait for the target, in milliseconds.
    pub timeout_ms: u64,
    /// Leave the keys on the source.
    pub copy: bool,
    /// Keys of more bytes are big.
    pub big_bytes: u64,
    /// Keys of more elements are big.
    pub big_elements: u64,
    /// After so many bytes no further key is tried.
    pub budget_bytes: u64,
}

impl Target<'_> {
    /// The arguments of EVALSHA (or EVAL, with the text in `script`) for `keys` on the source whose run id is `run_id`.
    /// `None` where the address is not one that a server can connect to.
    #[must_use]
    pub fn arguments(&self, script: Script, run_id: &str, keys: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        let (host, port) = self.address.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let (command, script) = match script {
            Script::Sha1 => ("EVALSHA", SCRIPT_SHA1),
            Script::Text => ("EVAL", SCRIPT),
        };
        let mut arguments: Vec<Vec<u8>> = vec![command.into(), script.into()];
        arguments.push(keys.len().to_string().into());
        arguments.extend(keys.iter().map(|key| key.to_vec()));
        let copy = if self.copy { "COPY" } else { "-" };
        arguments.extend([run_id.into(), host.into(), port.into()]);
        arguments.push(self.database.to_string().into());
        arguments.push(self.timeout_ms.to_string().into());
        arguments.push(copy.into());
        for number in [self.big_bytes, self.big_elements, self.budget_bytes] {
            arguments.push(number.to_string().into());
        }
        arguments.push(self.password.into());
        arguments.push(self.address.into());
        Some(arguments)
    }
}

/// The script that drops the old copies of keys whose new ones are safe at the target. Like the move script it does so
/// on a clean source alone, so that one which comes late, from a connection that was lost, finds the mark gone.
const UNLINK: &str = "redis.call('SELECT', 0) \
     local mark = redis.call('HGET', '__codis_clean__', ARGV[2]) \
     redis.call('SELECT', ARGV[3]) \
     if mark ~= ARGV[1] then return redis.error_reply('CODISUNCLEAN an earlier MIGRATE to ' .. ARGV[2] .. ' may still be at work') end \
     local gone = redis.pcall('UNLINK', unpack(KEYS)) \
     if type(gone) == 'table' then gone = redis.call('DEL', unpack(KEYS)) end \
     return gone";

/// [`UNLINK`] for one key that may be a big string.
const FREE: &str = include_str!("moves/free.lua");

/// The arguments of EVAL that drop `keys` of `database` on the source whose run id is `run_id`, once they are safe at
/// `address`.
#[must_use]
pub fn unlink_arguments(
    run_id: &str,
    address: &str,
    database: u32,
    keys: &[&[u8]],
) -> Vec<Vec<u8>> {
    let mut arguments: Vec<Vec<u8>> = vec!["EVAL".into(), UNLINK.into()];
    arguments.push(keys.len().to_string().into());
    arguments.extend(keys.iter().map(|key| key.to_vec()));
    arguments.extend([run_id.into(), address.into(), database.to_string().into()]);
    arguments
}

/// The arguments of EVAL that drop `key` of `database` on the source whose run id is `run_id`, once it is safe at `address`,
/// without holding the server up: a string of more than `big_bytes` is freed in the background, which UNLINK does not do.
#[must_use]
pub fn free_arguments(
    run_id: &str,
    address: &str,
    database: u32,
    key: &[u8],
    big_bytes: u64,
) -> Vec<Vec<u8>> {
    let numbers = [database.to_string(), big_bytes.to_string()];
    let texts = [run_id, address].into_iter().map(str::to_owned).chain(numbers);
    let start = [b"EVAL".to_vec(), FREE.into(), b"1".to_vec(), key.to_vec()];
    start.into_iter().chain(texts.map(String::into_bytes)).collect()
}

/// How the script is named in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// By its SHA1; a server that has not seen it answers NOSCRIPT.
    Sha1,
    /// By its whole text.
    Text,
}
