//! Dispatches `/bot<token>/<method>`.

use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    account::{Account, merged},
    error::{ApiError, ApiResult, bad_request},
    get_updates, keyboard, messages,
    params::Params,
    state::SharedState,
    text::check_text,
    types::{Fault, Reply},
    webhook,
};

/// Serves all calls.
pub(super) async fn serve(
    State(state): State<SharedState>,
    Path((bot, method)): Path<(String, String)>,
    request: Request,
) -> Response {
    let Some(token) = bot.strip_prefix("bot") else { return respond(Err(ApiError::new(404, "Not Found"))) };
    let method = method.to_lowercase();
    let Some(params) = Params::of(request).await else {
        return respond(Err(ApiError::new(400, "Bad Request: can't parse the request")));
    };
    let fault = match state.lock().get_mut(token) {
        Some(account) if !account.is_revoked => {
            account.calls.push((method.clone(), Value::Object(params.fields.clone())));
            account.faults.get_mut(&method).and_then(std::collections::VecDeque::pop_front)
        }
        _ => return respond(Err(ApiError::unauthorized())),
    };
    state.notify();
    match fault {
        None => respond(call(&state, token, &method, &params).await),
        Some(Fault::TooManyRequests { retry_after }) => respond(Err(ApiError::too_many_requests(retry_after))),
        Some(Fault::ServerError) => respond(Err(ApiError::new(500, "Internal Server Error"))),
        Some(Fault::BadGateway) => (StatusCode::BAD_GATEWAY, "<html>502 Bad Gateway</html>").into_response(),
        Some(Fault::DisconnectBefore) => disconnect(),
        Some(Fault::DisconnectAfter) => {
            let _done = call(&state, token, &method, &params).await;
            disconnect()
        }
        Some(Fault::NoResponse) => std::future::pending().await,
    }
}

async fn call(state: &SharedState, token: &str, method: &str, params: &Params) -> ApiResult {
    if method == "getupdates" {
        return get_updates::get_updates(state, token, params).await;
    }
    let outcome = {
        let mut accounts = state.lock();
        let account = accounts.get_mut(token).ok_or_else(ApiError::unauthorized)?;
        match method {
            "getme" => Ok(account.me()),
            "sendmessage" => send_message(account, params),
            "senddocument" => send_document(account, params),
            "getwebhookinfo" => Ok(webhook::info(account)),
            "setwebhook" => webhook::set(state, token, account, params),
            "deletewebhook" => {
                account.webhook = None;
                if params.flag("drop_pending_updates") {
                    account.updates.clear();
                }
                Ok(json!(true))
            }
            "logout" => {
                // Telegram accepts the bot again after ten minutes.
                account.is_revoked = true;
                Ok(json!(true))
            }
            "deletemessage" => messages::delete_message(account, params),
            "editmessagetext" | "editmessagereplymarkup" => messages::edit_message(account, method, params),
            "answercallbackquery" => messages::answer_callback_query(account, params),
            "sendchataction" => writable_chat(account, params).map(|_| json!(true)),
            "setmycommands" => messages::set_my_commands(account, params),
            _ => Err(ApiError::new(404, "Not Found")),
        }
    };
    state.notify();
    outcome
}

fn send_message(account: &mut Account, params: &Params) -> ApiResult {
    let chat_id = writable_chat(account, params)?;
    reject_during_flood_wait(account, chat_id)?;
    let text = check_text(params)?;
    let keyboard = keyboard::check(params.fields.get("reply_markup")).map_err(bad_request)?;
    let params = Value::Object(params.fields.clone());
    let reply = Reply { chat_id, message_id: 0, text: text.clone(), document: None, params };
    Ok(account.send(reply, json!({ "text": text }), keyboard))
}

fn send_document(account: &mut Account, params: &Params) -> ApiResult {
    let chat_id = writable_chat(account, params)?;
    reject_during_flood_wait(account, chat_id)?;
    let file = params.file("document").filter(|file| !file.content.is_empty());
    let file = file.ok_or_else(|| ApiError::new(400, "Bad Request: file must be non-empty"))?;
    let document = json!({
        "file_id": "document", "file_unique_id": "document", "file_size": file.content.len(),
        "file_name": file.name, "mime_type": "text/plain",
    });
    let reply = Reply {
        chat_id,
        message_id: 0,
        text: String::from_utf8_lossy(&file.content).into_owned(),
        document: Some(file.name.clone()),
        params: Value::Object(params.fields.clone()),
    };
    Ok(account.send(reply, json!({ "document": document }), None))
}

fn writable_chat(account: &Account, params: &Params) -> Result<i64, ApiError> {
    if params.number("message_thread_id").is_some_and(|thread| account.deleted_threads.contains(&thread)) {
        return Err(bad_request("message thread not found"));
    }
    let chat_id = params.number("chat_id").filter(|chat_id| account.chats.contains(chat_id));
    let chat_id = chat_id.ok_or_else(|| ApiError::new(400, "Bad Request: chat not found"))?;
    if account.blocked.contains(&chat_id) {
        return Err(ApiError::new(403, "Forbidden: bot was blocked by the user"));
    }
    Ok(chat_id)
}

fn reject_during_flood_wait(account: &Account, chat_id: i64) -> Result<(), ApiError> {
    let ends = [Some(chat_id), None].map(|chat| account.flood_waits.get(&chat).copied());
    let rest = ends.into_iter().flatten().map(|end| end.saturating_duration_since(Instant::now())).max();
    // Telegram rounds up to whole seconds, and never returns 0.
    let seconds = rest.filter(|rest| !rest.is_zero()).map(|rest| rest.as_secs_f64().ceil() as u32);
    seconds.map_or(Ok(()), |seconds| Err(ApiError::too_many_requests(seconds)))
}

fn respond(result: ApiResult) -> Response {
    match result {
        Ok(result) => Json(json!({ "ok": true, "result": result })).into_response(),
        Err(ApiError { code, description, retry_after }) => {
            let parameters = retry_after.map(|seconds| json!({ "parameters": { "retry_after": seconds } }));
            let body = json!({ "ok": false, "error_code": code, "description": description });
            let body = merged(body, parameters.unwrap_or_default());
            (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(body)).into_response()
        }
    }
}

/// A response whose body fails at once, so that hyper closes the connection.
fn disconnect() -> Response {
    let broken = async { Err::<Vec<u8>, _>(std::io::Error::other("disconnected")) };
    Body::from_stream(futures_util::stream::once(broken)).into_response()
}
