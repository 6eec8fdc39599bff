//! `mayfly migrate`.

use mayfly_store::{DataSettings, DatabaseSettings};
use serde_json::json;

use super::print::PrintSettings;
use crate::error::CliError;

/// Arguments of `mayfly migrate`.
#[derive(Debug, clap::Args)]
pub(crate) struct MigrateSettings {
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    print: PrintSettings,
}

pub(crate) async fn run(settings: MigrateSettings) -> Result<(), CliError> {
    let database = settings.database.database(&settings.data)?;
    let changes = database.migrate().await?;
    let text = match changes {
        0 => "the schema is up to date".to_owned(),
        changes => format!("the schema was brought up to date with {changes} changes"),
    };
    settings.print.print(&json!({ "changes": changes }), &text)
}
