//! The tables, one file each. Times are microseconds since 1970-01-01 UTC.

#![expect(unreachable_pub, reason = "SeaORM's derives make everything public")]

pub(super) mod api_tokens;
pub(super) mod app_configs;
pub(super) mod claims;
pub(super) mod content_kind;
pub(super) mod instance;
pub(super) mod messages;
pub(super) mod passphrase_tries;
pub(super) mod receipts;
pub(super) mod sealing_keys;
pub(super) mod usage;
