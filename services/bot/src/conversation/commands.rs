//! Runs the commands. There is one file for each.

mod burn;
mod help;
mod look;
mod new;
mod open;
pub(super) mod view;

use crate::{
    conversation::{command::Command, context::Context, event::ChatEvent, reply::Reply, wording},
    store_client::ShuttingDown,
};

/// Runs `command` and returns the reply.
pub(super) async fn run(context: &Context, event: &ChatEvent, command: &Command) -> Result<Reply, ShuttingDown> {
    match command {
        Command::New(new) => new::run(context, event, new).await,
        Command::View(message_ref) => view::run(context, event, message_ref).await,
        Command::Look(message_ref) => look::run(context, event, message_ref).await,
        Command::Burn(message_ref) => burn::run(context, event, message_ref).await,
        Command::Open(message_ref) => open::run(context, event, message_ref).await,
        Command::Help => Ok(help::run(event.language)),
        Command::Invalid(error) => Ok(Reply::message(wording::parse_error_text(event.language, error), "explained")),
        Command::Unknown { is_long: false } => Ok(help::run(event.language)),
        Command::Unknown { is_long: true } => Ok(help::run_for_split_text(event.language)),
    }
}
