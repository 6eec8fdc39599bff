//! The whole bot against a fake Bot API and a fake store, through the real polling loop.
//!
//! `harness.rs` starts and ends bots, `fake_store.rs` is the store; each of the others tests one side of the bot.

mod fake_store;
mod flood;
mod formats;
pub(crate) mod fuzz;
mod harness;

mod bad_input;
mod bot_service;
mod buttons;
mod chat;
mod configs;
mod deletions;
mod delivery;
mod edits;
mod flood_waits;
mod keywords;
mod languages;
mod links;
mod logs;
mod page;
mod simulator;
mod spool;
mod store_failures;
mod telegram_failures;
mod topics;
mod webhook;
