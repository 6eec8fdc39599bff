//! getUpdates: long polls, offsets, confirmations and conflicts.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{
    account::Account,
    error::{ApiError, ApiResult},
    params::Params,
    state::SharedState,
};

const MAX_UPDATES: i64 = 100;
const MAX_HOLD_SECONDS: i64 = 50;

pub(super) async fn get_updates(state: &SharedState, token: &str, params: &Params) -> ApiResult {
    let limit = params.number("limit").unwrap_or(MAX_UPDATES).clamp(1, MAX_UPDATES);
    let hold = params.number("timeout").unwrap_or(0).clamp(0, MAX_HOLD_SECONDS);
    let deadline = Instant::now() + Duration::from_secs(hold.unsigned_abs());

    let mut changes = state.changes();
    let this_poll = with_account(state, token, |account| begin(account, params))?;
    // Wakes an older poll, which then ends with a conflict, and tests that wait for confirmations.
    state.notify();
    loop {
        changes.borrow_and_update();
        let updates = with_account(state, token, |account| collect(account, this_poll, limit))?;
        if !updates.is_empty() {
            return Ok(Value::Array(updates));
        }
        if timeout_at(deadline, changes.changed()).await.is_err() {
            return Ok(Value::Array(Vec::new()));
        }
    }
}

/// Confirms the updates below the offset. Returns the number of this poll.
fn begin(account: &mut Account, params: &Params) -> Result<u64, ApiError> {
    reject_if_webhook_is_set(account)?;
    account.allow_updates(params);
    let offset = params.number("offset").unwrap_or(0);
    let first_kept = if offset < 0 {
        // A negative offset keeps only the last updates.
        let last = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        account.updates.keys().rev().nth(last.saturating_sub(1)).copied().unwrap_or(i64::MIN)
    } else {
        offset
    };
    let kept = account.updates.split_off(&first_kept);
    let confirmed = std::mem::replace(&mut account.updates, kept);
    account.confirmed_up_to = confirmed.keys().last().copied().or(account.confirmed_up_to);
    account.latest_poll += 1;
    Ok(account.latest_poll)
}

fn collect(account: &mut Account, this_poll: u64, limit: i64) -> Result<Vec<Value>, ApiError> {
    reject_if_webhook_is_set(account)?;
    if account.latest_poll != this_poll {
        return Err(ApiError::new(
            409,
            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
        ));
    }
    let mut updates: Vec<_> =
        account.updates.values().take(usize::try_from(limit).unwrap_or_default()).cloned().collect();
    if account.confirms_on_arrival {
        updates.iter().filter_map(|update| update.get("update_id")?.as_i64()).for_each(|id| account.confirm(id));
    }
    if account.is_out_of_order {
        updates.reverse();
    }
    Ok(updates)
}

fn reject_if_webhook_is_set(account: &Account) -> Result<(), ApiError> {
    match account.webhook {
        None => Ok(()),
        Some(_) => Err(ApiError::new(
            409,
            "Conflict: can't use getUpdates method while webhook is active; \
             use deleteWebhook to delete the webhook first",
        )),
    }
}

fn with_account<T>(
    state: &SharedState,
    token: &str,
    act: impl FnOnce(&mut Account) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    match state.lock().get_mut(token) {
        Some(account) if !account.is_revoked => act(account),
        _ => Err(ApiError::unauthorized()),
    }
}
