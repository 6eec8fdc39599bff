//! System tests: the program as processes, with sockets, files and signals, on SQLite and on PostgreSQL.

#![cfg(test)]

mod api_tokens;
mod backups;
mod bot;
mod bot_api_server;
mod chat;
mod cli;
mod doctor;
mod examples;
mod faults;
mod harness;
mod lifecycle;
mod limits;
mod logs;
mod metrics;
mod postgres;
mod protocols;
mod race;
mod read_only;
mod scripts;
mod sealed;
mod settings;
mod tls;
mod traces;
mod upgrades;
mod webhook;
