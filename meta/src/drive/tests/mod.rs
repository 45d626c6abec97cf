//! The driver with a real member and real servers, and promotions by the thousand with models of both.

mod check;
mod contents;
mod fence;
mod fixture;
mod model;
mod moves;
mod moves_big;
mod moves_codis;
mod promotion;
mod simulation;
mod sync;
mod wire;
