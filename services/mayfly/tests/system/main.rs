//! The program as its users have it: processes, sockets, files and signals, on SQLite and on PostgreSQL.

#![cfg(test)]

mod bot;
mod calls;
mod chat;
mod client;
mod examples;
mod faults;
mod harness;
mod life;
mod limits;
mod logs;
mod postgres;
mod race;
mod read_only;
mod scripts;
mod sealed;
mod settings;
mod telegram_server;
mod webhook;
