//! Who a session is, and what it may do: AUTH, the check of each request, and ACL.
//!
//! Sessions of users who may do everything are never checked: their requests do not come by here.

use super::Engine;
use super::dispatch::Flow;
use super::local::{Answer, NO_PASSWORD, NOT_AN_INTEGER, SYNTAX, WRONG_PASSWORD, bulk, ok};
use super::session::Flags;
use crate::command::{self, CATEGORIES, CommandId, Local, LookupError, ids};
use crate::resp::request::strict_integer;
use crate::resp::{Request, write};
use crate::users::{DEFAULT, User};

/// How long a password of ACL GENPASS is where nothing else is asked for, in bits; and at most.
const GENPASS_BITS: (i64, i64) = (256, 4096);

impl Engine {
    pub(super) fn auth(&mut self, session: u32, request: &Request<'_>) -> Answer {
        match request.len() {
            2 if self.settings.users.get(0).needs_no_password() => Err(NO_PASSWORD.into()),
            2 => self.authenticate(session, DEFAULT.as_bytes(), request.arg(1)),
            3 => self.authenticate(session, request.arg(1), request.arg(2)),
            _ => Err(SYNTAX.into()),
        }
    }

    pub(super) fn authenticate(&mut self, session: u32, name: &[u8], password: &[u8]) -> Answer {
        let users = &self.settings.users;
        let found = users.find(name);
        // Of a user that is not there, as much is computed.
        let right = users.get(found.unwrap_or(0)).lets_in(password);
        match found {
            Some(user) if right => self.become_user(session, user),
            _ => return Err(WRONG_PASSWORD.into()),
        }
        ok()
    }

    fn become_user(&mut self, session: u32, user: u16) {
        let restricted = !self.settings.users.get(user).is_all_powerful();
        let target = &mut self.sessions[session as usize];
        target.user = user;
        target.flags.set(Flags::AUTHENTICATED);
        target.flags.unset(Flags::RESTRICTED);
        if restricted {
            target.flags.set(Flags::RESTRICTED);
        }
    }

    /// A session that has just come, or has said RESET.
    pub(super) fn become_default(&mut self, session: u32) {
        self.become_user(session, 0);
        if !self.settings.users.get(0).needs_no_password() {
            self.sessions[session as usize].flags.unset(Flags::AUTHENTICATED);
        }
    }

    fn user(&self, session: u32) -> &User {
        self.settings.users.get(self.sessions[session as usize].user)
    }

    /// Refuses what a session's user may not do.
    #[cold]
    pub(super) fn forbid(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Option<Flow> {
        let denied = self.user(session).check(id, request).err()?;
        let text = denied.error();
        Some(match id {
            ids::EXEC => self.refuse_exec(session, &text),
            _ => self.reject(session, id, &text),
        })
    }

    /// Answers ACL and its subcommands.
    pub(super) fn acl(&self, session: u32, local: Local, request: &Request<'_>) -> Answer {
        let mut out = Vec::new();
        let users = &self.settings.users;
        match local {
            Local::AclWhoAmI => write::bulk(&mut out, self.user(session).name().as_bytes()),
            Local::AclUsers => {
                write::array(&mut out, users.iter().count());
                users.iter().for_each(|user| write::bulk(&mut out, user.name().as_bytes()));
            }
            Local::AclList => {
                write::array(&mut out, users.iter().count());
                users.iter().for_each(|user| write::bulk(&mut out, user.line().as_bytes()));
            }
            Local::AclGetUser => self.acl_get_user(session, request.arg(2), &mut out),
            Local::AclCat => acl_cat(request, &mut out)?,
            Local::AclGenPass => out = self.acl_gen_pass(request)?,
            _ => out = self.acl_dry_run(request)?,
        }
        Ok(out)
    }

    fn acl_get_user(&self, session: u32, name: &[u8], out: &mut Vec<u8>) {
        let protocol = self.sessions[session as usize].protocol;
        let users = &self.settings.users;
        let Some(user) = users.find(name).map(|user| users.get(user)) else {
            return write::null(out, protocol);
        };
        let list = |out: &mut Vec<u8>, name: &[u8], items: &[&str]| {
            write::bulk(out, name);
            match name {
                b"flags" => write::set(out, protocol, items.len()),
                _ => write::array(out, items.len()),
            }
            items.iter().for_each(|item| write::bulk(out, item.as_bytes()));
        };
        write::map(out, protocol, 6);
        list(out, b"flags", &user.flags());
        let passwords = user.passwords();
        let passwords: Vec<&str> = passwords.iter().map(String::as_str).collect();
        list(out, b"passwords", &passwords);
        let rules: [(&[u8], String); 3] = [
            (b"commands", user.commands()),
            (b"keys", user.keys()),
            (b"channels", user.channels()),
        ];
        for (name, text) in rules {
            write::bulk(out, name);
            write::bulk(out, text.as_bytes());
        }
        list(out, b"selectors", &[]);
    }

    /// `ACL DRYRUN name command [arg ...]`
    fn acl_dry_run(&self, request: &Request<'_>) -> Answer {
        let users = &self.settings.users;
        let shown = |i: usize| String::from_utf8_lossy(request.arg(i)).into_owned();
        let user = users.find(request.arg(2));
        let user = user.ok_or_else(|| format!("ERR User '{}' not found", shown(2)))?;
        let inner = Request { bytes: request.bytes, args: &request.args[3..] };
        let id = match command::resolve(&inner) {
            Ok(id) => id,
            Err(error @ LookupError::WrongArity(_)) => {
                return Err(String::from_utf8_lossy(&error.text(&inner)).into_owned());
            }
            Err(_) => return Err(format!("ERR Command '{}' not found", shown(3))),
        };
        match users.get(user).check(id, &inner) {
            Ok(()) => ok(),
            Err(denied) => Ok(bulk(denied.dry().as_bytes())),
        }
    }

    /// `ACL GENPASS [bits]`
    fn acl_gen_pass(&self, request: &Request<'_>) -> Answer {
        let (default, most) = GENPASS_BITS;
        let bits = match request.len() {
            2 => default,
            _ => strict_integer(request.arg(2)).ok_or(NOT_AN_INTEGER)?,
        };
        if !(1..=most).contains(&bits) {
            return Err(
                "ERR ACL GENPASS argument must be the number of bits for the output password, \
                        a positive number up to 4096"
                    .into(),
            );
        }
        let digits = (bits as usize).div_ceil(4);
        let mut random = vec![0; digits.div_ceil(2)];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| format!("ERR the system gives no random numbers: {error}"))?;
        let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(bulk(&hex.as_bytes()[..digits]))
    }
}

/// `ACL CAT [category]`
fn acl_cat(request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let names: Vec<&str> = match request.len() {
        2 => CATEGORIES.to_vec(),
        3 => {
            let category = String::from_utf8_lossy(request.arg(2)).to_ascii_lowercase();
            if !CATEGORIES.contains(&category.as_str()) {
                let shown = String::from_utf8_lossy(request.arg(2)).into_owned();
                return Err(format!("ERR Unknown category '{shown}'"));
            }
            let commands = command::in_category(&category);
            commands.map(|id| id.command().name).collect()
        }
        _ => {
            return Err(
                "ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP."
                    .into(),
            );
        }
    };
    write::array(out, names.len());
    names.iter().for_each(|name| write::bulk(out, name.as_bytes()));
    Ok(())
}
