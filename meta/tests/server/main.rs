//! A member's port as its users see it: real members in this process, real sockets, real clients.

mod admin;
mod change;
mod group;
mod link;
mod member;
mod moves;
mod pages;
mod port;
mod streams;
