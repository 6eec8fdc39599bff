//! The gateway on a real socket, in front of a real store and of one that fails as it is told.

#![cfg(test)]

mod app_config;
mod bad_input;
mod bot;
mod compat;
mod documented;
mod grpc;
mod harness;
mod headers;
mod idempotency;
mod limits;
mod origin;
mod passphrases;
mod prefetch;
mod sealed;
mod siblings;
mod troubles;
