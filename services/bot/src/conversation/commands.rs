//! Runs the commands. There is one file for each.

mod burn;
mod look;
mod new;
mod open;
pub(super) mod view;

use crate::{
    conversation::{command::Command, context::Context, event::ChatEvent, reply::Reply, texts::Phrase, wording},
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
        Command::Help | Command::Unknown { is_long: false } => {
            Ok(Reply::message(wording::help(event.language), "explained"))
        }
        Command::Invalid(error) => Ok(Reply::message(wording::parse_error_text(event.language, error), "explained")),
        // Probably the second part of a text that the sender's app split in two.
        Command::Unknown { is_long: true } => {
            let (split, help) = (event.language.text(Phrase::SplitText), wording::help(event.language));
            Ok(Reply::message(format!("{split}\n\n{help}"), "explained"))
        }
    }
}
