//! Concurrent readers of one message.

use std::{future::Future, sync::Arc};

use tokio::{sync::Barrier, task::JoinSet};

/// Starts `readers` readers at the same time and returns how many of them got a text. `read` returns `Ok(true)` for a
/// text and `Ok(false)` for "gone".
///
/// # Errors
///
/// Returns the first error of a reader.
pub async fn race<F, R>(readers: usize, mut read: F) -> anyhow::Result<usize>
where
    F: FnMut(usize) -> R,
    R: Future<Output = anyhow::Result<bool>> + Send + 'static,
{
    let start = Arc::new(Barrier::new(readers));
    let mut running = JoinSet::new();
    for reader in 0..readers {
        let (start, reading) = (Arc::clone(&start), read(reader));
        running.spawn(async move {
            start.wait().await;
            reading.await
        });
    }
    let mut texts = 0;
    while let Some(read) = running.join_next().await {
        texts += usize::from(read??);
    }
    Ok(texts)
}
