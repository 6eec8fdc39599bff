//! The gateway on a real socket, with a real store, and with a store that returns errors.

#![cfg(test)]

mod api_document;
mod api_tokens;
mod app_config;
mod bad_input;
mod bot;
mod compatibility;
mod grpc;
mod harness;
mod idempotency;
mod limits;
mod origin;
mod passphrases;
mod prefetch;
mod request_ids;
mod sealed;
mod security_headers;
mod store_failures;
mod token_in_body;
