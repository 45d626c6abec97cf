//! `codis-loadtest`: load, histories and whole clusters for anything that speaks RESP.
//!
//! [`run`] loads servers and measures what they answer, [`check`] judges what clients saw, [`cluster`] starts a cluster to play
//! with, [`cli`] is the command line.

pub mod check;
pub mod cli;
pub mod cluster;
pub mod run;
