//! `Debug` for the messages that carry secrets, so that a text, a token or a key cannot reach a log by way of `{:?}`.
//!
//! `build.rs` lists the same messages. Each is taken apart completely: a new field stops the build here until somebody
//! has decided whether it may be shown.

use std::fmt;

use crate::{
    config::AppConfig,
    message::{
        AcknowledgeViewRequest, BurnMessageRequest, CreateMessageRequest, CreateMessageResponse, LookupMessageRequest,
        ViewMessageRequest, ViewMessageResponse, WatchMessageRequest,
    },
};

macro_rules! redact {
    ($message:ident { $($shown:ident),* } hiding { $($hidden:ident),* }) => {
        impl fmt::Debug for $message {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self { $($shown,)* $($hidden: _),* } = self;
                formatter.debug_struct(stringify!($message))$(.field(stringify!($shown), $shown))*.finish_non_exhaustive()
            }
        }
    };
}

redact!(AcknowledgeViewRequest { id } hiding { access_token, view_id });
redact!(AppConfig { id, session_name, api_id, is_active, is_bot, update_time } hiding { api_hash, bot_token });
redact!(BurnMessageRequest { id } hiding { access_token });
redact!(CreateMessageRequest { ttl } hiding { text, request_id, passphrase });
redact!(CreateMessageResponse { id, create_time, expire_time } hiding { access_token });
redact!(LookupMessageRequest { id } hiding { access_token });
redact!(ViewMessageRequest { id } hiding { access_token, view_id, passphrase });
redact!(ViewMessageResponse { create_time, repeat_until } hiding { text });
redact!(WatchMessageRequest { id } hiding { access_token });

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "needle";

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let secret = || SECRET.to_owned();
        let shown = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            AcknowledgeViewRequest { id: 1, access_token: secret(), view_id: secret() },
            AppConfig { api_hash: secret(), bot_token: secret(), ..AppConfig::default() },
            BurnMessageRequest { id: 1, access_token: secret() },
            CreateMessageRequest { text: secret(), request_id: secret(), passphrase: secret(), ttl: None },
            CreateMessageResponse { access_token: secret(), ..CreateMessageResponse::default() },
            LookupMessageRequest { id: 1, access_token: secret() },
            ViewMessageRequest { id: 1, access_token: secret(), view_id: secret(), passphrase: secret() },
            ViewMessageResponse { text: secret(), ..ViewMessageResponse::default() },
            WatchMessageRequest { id: 1, access_token: secret() },
        );
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.contains("AppConfig"), "{shown}");
    }
}
