//! What the fuzz targets do with their bytes. `proxy/tests/fuzz.rs` runs the same functions on fixed
//! and on random bytes, so that `cargo test` has a little of it.

pub mod engine;
pub mod replies;
pub mod requests;
