//! What each command does.

mod config;
mod group;
mod meta;
mod moves;
mod proxy;
mod slots;
mod watch;

use crate::Failure;
use crate::cli::{Cli, Command, Group, Wait};
use crate::output::{self, Output};
use codis_meta::auth::Token;
use codis_meta::client::Client;
use codis_proto::admin::v1 as api;
use std::env::VarError;
use std::time::Duration;

/// Where the environment has the product's password.
const AUTH_VARIABLE: &str = "CODIS_AUTH";

/// How long a change waits for the proxies to work by it.
const PROXIES_WAIT: Duration = Duration::from_secs(2);

/// The group, and where answers go.
pub(crate) struct Session {
    client: Client,
    output: Output,
    timeout: Duration,
}

/// Runs a command.
///
/// # Errors
/// Why it failed.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let output = Output::new(cli.json);
    let timeout = cli.group.timeout;
    let mut session = Session { client: connect(cli.group)?, output, timeout };
    match cli.command {
        Command::Status => session.status().await,
        Command::Group(command) => session.group(command).await,
        Command::Slots(command) => session.slots(command).await,
        Command::Proxy(command) => session.proxy(command).await,
        Command::Meta(command) => session.meta(command).await,
        Command::Config(command) => session.config(command).await,
        Command::Watch { all } => session.watch(all).await,
        Command::Completion { .. } => Ok(()),
    }
}

fn connect(group: Group) -> Result<Client, Failure> {
    let token = Token::new(&password(&group)?).map_err(|error| Failure::Said(error.to_string()))?;
    let members: Vec<String> = group.meta.into_iter().filter(|text| !text.is_empty()).collect();
    for member in &members {
        codis_service::address::check_server(member)
            .map_err(|what| Failure::Said(format!("--meta: {what}")))?;
    }
    Ok(Client::new(members, token, group.tls_ca.as_deref(), group.timeout)?)
}

/// The product's password: from the command line, else from the environment.
fn password(group: &Group) -> Result<String, Failure> {
    match (&group.auth, &group.auth_file) {
        (Some(auth), _) => Ok(auth.clone()),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Failure::Said(format!("cannot read --auth-file {}: {error}", file.display()))
            })?;
            Ok(text.trim_end_matches(['\n', '\r']).to_owned())
        }
        (None, None) => match std::env::var(AUTH_VARIABLE) {
            Ok(auth) => Ok(auth),
            Err(VarError::NotPresent) => Ok(String::new()),
            Err(VarError::NotUnicode(_)) => Err(Failure::Said(format!(
                "the environment's {AUTH_VARIABLE} is not UTF-8: give the password by --auth-file"
            ))),
        },
    }
}

impl Session {
    async fn status(&mut self) -> Result<(), Failure> {
        let status = self
            .client
            .call(api::GetStatusRequest {}, async |api, request| api.get_status(request).await)
            .await?;
        self.output.answer("codis.admin.v1.Status", &status, || output::status(&status))
    }

    /// How a change is to be made.
    fn change(&mut self, wait: Wait) -> Option<api::Call> {
        let wait = if wait.no_wait { Duration::ZERO } else { PROXIES_WAIT.min(self.timeout) };
        Some(self.client.change(wait))
    }

    /// Says that a change was made; `what` is it, such as "group 1 is created".
    fn changed(&self, what: &str, changed: &api::Changed) -> Result<(), Failure> {
        self.output.answer("codis.admin.v1.Changed", changed, || output::changed(what, changed))
    }
}
