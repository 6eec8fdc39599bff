//! Negative controls: readers with a deliberate defect. A test that passes with these proves nothing.

use std::sync::Arc;

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use tokio::sync::Barrier;

/// A reader that selects and then deletes in two steps, which is the usual race condition.
#[derive(Clone)]
pub struct SelectThenDelete {
    database: DatabaseConnection,
    selected: Arc<Barrier>,
}

impl SelectThenDelete {
    /// Readers of `database`. All `readers` of them select before the first one deletes, so the race always occurs.
    #[must_use]
    pub fn new(database: DatabaseConnection, readers: usize) -> Self {
        Self { database, selected: Arc::new(Barrier::new(readers)) }
    }

    /// Reads the newest message. Returns `true` if this reader got the text.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn view(&self) -> anyhow::Result<bool> {
        let backend = self.database.get_database_backend();
        let select = "SELECT id, sealed_content FROM messages ORDER BY id DESC LIMIT 1";
        let select = Statement::from_string(backend, select);
        let found = self.database.query_one_raw(select).await?;
        self.selected.wait().await;
        if let Some(row) = &found {
            let id: i64 = row.try_get_by_index(0)?;
            self.database.execute_unprepared(&format!("DELETE FROM messages WHERE id = {id}")).await?;
        }
        Ok(found.is_some())
    }
}
