//! `codis-loadtest`: load, histories and whole clusters for anything that speaks RESP.
//!
//! [`run`] loads servers and measures what they answer, [`cli`] is the command line.

pub mod cli;
pub mod run;
