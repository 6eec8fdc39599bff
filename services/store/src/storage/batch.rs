//! What one transaction of the [writer](super::writer) does: many pieces of work with few statements.
//!
//! Returned rows are matched to their work by id and verifier, never by their order, which RETURNING does not define.

mod acknowledge;
mod context;
mod create;
mod erase;
mod row_size;
mod sweep;

use self::context::Results;
pub(super) use self::context::{BatchContext, BatchError};
pub(crate) use self::{
    acknowledge::Acknowledgement,
    context::{Output, Retention, Swept},
    create::{Creation, CreationRequest},
    erase::{Erasure, ErasureReason},
};
use super::{
    passphrase_tries::{self, PassphraseTry},
    usage::Usage,
};
use crate::{
    domain::{KeyId, MessageId},
    error::StoreError,
    metrics::MessageCounts,
};

/// A piece of work on messages.
pub(crate) enum Work {
    /// Store a message.
    Create(Box<Creation>),
    /// Delete an unread and unexpired message. Returns its content if it is viewed.
    Erase(Box<Erasure>),
    /// Erase a content that its reader has received.
    Acknowledge(Acknowledgement),
    /// Count a try of a passphrase, if another one is permitted.
    CountTry(PassphraseTry),
    /// Replace some expired messages by receipts, and purge some old receipts and forfeited claims.
    Sweep,
    /// Write without a change, to check that the database can be written.
    Probe(KeyId),
}

/// What a batch did.
pub(super) struct BatchOutcome {
    /// A result for each piece of work, in order.
    pub(super) results: Vec<Result<Output, StoreError>>,
    /// The messages that ended.
    pub(super) ended: Vec<MessageId>,
    /// The change of the usage.
    pub(super) change: Usage,
    pub(super) counts: MessageCounts,
}

/// Does all of `work` except for the `excluded` indexes, which failed in an earlier attempt.
pub(super) async fn run(
    mut context: BatchContext<'_>,
    work: &[Work],
    excluded: &[(usize, StoreError)],
) -> Result<BatchOutcome, BatchError> {
    let mut results = Results::new(work.len());
    for (index, error) in excluded {
        results.set(*index, Err(error.clone()));
    }
    let is_excluded = |index| excluded.iter().any(|(excluded, _)| *excluded == index);
    let remaining = || work.iter().enumerate().filter(|(index, _)| !is_excluded(*index));
    let (mut creations, mut erasures, mut acknowledgements) = (Vec::new(), Vec::new(), Vec::new());
    for (index, work) in remaining() {
        match work {
            Work::Create(creation) => creations.push((index, &**creation)),
            Work::Erase(erasure) => erasures.push((index, &**erasure)),
            Work::Acknowledge(acknowledgement) => acknowledgements.push((index, acknowledgement)),
            Work::CountTry(_) | Work::Sweep | Work::Probe(_) => {}
        }
    }
    // Creations first: they lock the row of their key, and the retirement of a key locks that row before any message.
    create::create(&mut context, creations, &mut results).await?;
    for (index, work) in remaining() {
        match work {
            Work::CountTry(passphrase_try) => {
                let now = context.clock.now();
                let counted = passphrase_tries::count(context.transaction, passphrase_try, now).await?;
                results.set(index, counted.map(|()| Output::TryCounted));
            }
            Work::Sweep => results.set(index, Ok(Output::Swept(sweep::sweep(&mut context).await?))),
            Work::Probe(key_id) => {
                context.usage.add(key_id.as_str(), Usage::default());
                results.set(index, Ok(Output::Probed));
            }
            Work::Create(_) | Work::Erase(_) | Work::Acknowledge(_) => {}
        }
    }
    erase::erase(&mut context, erasures, &mut results).await?;
    acknowledge::acknowledge(&mut context, acknowledgements, &mut results).await?;
    if let Some(statement) = context.usage.statement(context.transaction.backend(), context.shard) {
        context.transaction.execute("INSERT", "usage", statement).await?;
    }
    let (change, counts) = (context.usage.total(), context.counts);
    Ok(BatchOutcome { results: results.into_vec(), ended: context.ended, change, counts })
}

#[cfg(test)]
mod tests;
