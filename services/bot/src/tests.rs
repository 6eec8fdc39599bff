//! The whole bot against a fake Bot API and a fake store, through the real polling loop.
//!
//! `harness.rs` starts and ends bots, `fake_store.rs` is the store; each of the others tests one side of the bot.

mod fake_store;
mod flood;
mod harness;

mod bot_service;
mod chat;
mod configs;
mod delivery;
mod logs;
mod page;
mod set_aside;
mod simulator;
mod store_troubles;
mod telegram_troubles;
mod webhook;
