//! How updates arrive from Telegram, and how none is lost.
//!
//! An update arrives by polling or by webhook. The dispatcher keeps the order within each chat.

pub(crate) mod dispatcher;
pub(crate) mod event;
pub(crate) mod flood;
mod offset_tracker;
pub(crate) mod polling;
mod rich_text;
pub(crate) mod spool;
pub(crate) mod webhook;
