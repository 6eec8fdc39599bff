//! `Debug` for messages with secrets, so that `{:?}` does not log a text, a token or a key.
//!
//! `build.rs` lists the same messages. The macro destructures each message completely, so a new field breaks the build
//! until it is listed as shown or hidden.

use std::fmt;

use crate::generated::{
    auth::CreateApiTokenResponse,
    config::AppConfig,
    message::{
        AcknowledgeViewRequest, BurnMessageRequest, CreateMessageRequest, CreateMessageResponse, LookupMessageRequest,
        ViewMessageRequest, ViewMessageResponse, WatchMessageRequest, create_message_request, view_message_response,
    },
};

macro_rules! redact {
    ($message:ident { $($shown:ident),* } hiding { $($hidden:ident),* }) => {
        impl fmt::Debug for $message {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self { $($shown,)* $($hidden: _),* } = self;
                let mut shown = formatter.debug_struct(stringify!($message));
                shown$(.field(stringify!($shown), $shown))*.finish_non_exhaustive()
            }
        }
    };
}

redact!(AcknowledgeViewRequest { id } hiding { access_token, view_id });
redact!(AppConfig { id, session_name, api_id, is_active, is_bot, update_time } hiding { api_hash, bot_token });
redact!(BurnMessageRequest { id } hiding { access_token });
redact!(CreateApiTokenResponse { api_token } hiding { secret });
redact!(CreateMessageRequest { ttl } hiding { content, request_id, passphrase });
redact!(CreateMessageResponse { id, create_time, expire_time } hiding { access_token });
redact!(LookupMessageRequest { id } hiding { access_token });
redact!(ViewMessageRequest { id, accepts_sealed } hiding { access_token, view_id, passphrase });
redact!(ViewMessageResponse { create_time, repeat_until } hiding { content });
redact!(WatchMessageRequest { id } hiding { access_token });

impl fmt::Debug for create_message_request::Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text(_) => "Text",
            Self::Sealed(_) => "Sealed",
        })
    }
}

impl fmt::Debug for view_message_response::Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text(_) => "Text",
            Self::Sealed(_) => "Sealed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hidden";

    #[test]
    fn debug_output_hides_secrets() {
        let secret = || SECRET.to_owned();
        let shown = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            AcknowledgeViewRequest { id: 1, access_token: secret(), view_id: secret() },
            AppConfig { api_hash: secret(), bot_token: secret(), ..AppConfig::default() },
            BurnMessageRequest { id: 1, access_token: secret() },
            CreateApiTokenResponse { secret: secret(), ..CreateApiTokenResponse::default() },
            CreateMessageRequest {
                request_id: secret(),
                passphrase: secret(),
                ..CreateMessageRequest::from_text(SECRET)
            },
            CreateMessageRequest::from_text(SECRET).content,
            CreateMessageRequest::from_sealed(SECRET).content,
            CreateMessageResponse { access_token: secret(), ..CreateMessageResponse::default() },
            LookupMessageRequest { id: 1, access_token: secret() },
            ViewMessageRequest {
                access_token: secret(),
                view_id: secret(),
                passphrase: secret(),
                ..ViewMessageRequest::default()
            },
            ViewMessageResponse::from_text(SECRET),
            ViewMessageResponse::from_text(SECRET).content,
            WatchMessageRequest { id: 1, access_token: secret() },
        );
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.contains("AppConfig"), "{shown}");
    }
}
