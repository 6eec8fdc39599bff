//! How updates arrive from Telegram, and how none is lost.
//!
//! An update arrives by polling or by webhook. Both hand it to the dispatcher, which handles it in the order of its
//! chat.

pub(crate) mod chat_tasks;
pub(crate) mod dispatcher;
pub(crate) mod event;
mod flood;
mod offset_tracker;
pub(crate) mod polling;
mod recent;
mod rich_text;
pub(crate) mod spool;
pub(crate) mod webhook;
