//! What the command lines of the programs have in common.

use crate::config::{ConfigError, Secret};
use clap::builder::styling::{AnsiColor, Styles};

/// Colours of the help text, where the terminal has them.
pub const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Reads a password, for `value_parser`.
///
/// # Errors
/// None: every text is a password.
pub fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Why the flags and the file together give no settings.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A flag has an impossible value.
    #[error("on the command line: {0}")]
    Flag(String),
}

/// One sentence for each flag of Codis that was given and has no meaning any more: the flag, whether it was
/// given, and why it does nothing.
#[must_use]
pub fn warnings(flags: &[(&str, bool, &str)]) -> Vec<String> {
    let given = flags.iter().filter(|(_, given, _)| *given);
    given.map(|(flag, _, why)| format!("{flag} is ignored: {why}")).collect()
}
