//! The driver with a real member and real servers, and promotions by the thousand with models of both.

mod check;
mod fence;
mod fixture;
mod model;
mod promotion;
mod simulation;
mod sync;
mod wire;
mod contents;
mod moves;
