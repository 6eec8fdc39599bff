//! The long-running roles. Each reads its settings, binds its listeners, and runs until a signal comes.

pub(crate) mod bot;
pub(crate) mod gateway;
pub(crate) mod store;
pub(crate) mod up;
