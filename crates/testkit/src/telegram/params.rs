//! The parameters of a call, from its query and a JSON, form or multipart body.

use std::collections::HashMap;

use axum::{
    Form, Json,
    extract::{FromRequest as _, Multipart, Query, Request},
    http::header::CONTENT_TYPE,
};
use serde_json::{Map, Value};

/// The parameters of a call.
#[derive(Default)]
pub(super) struct Params {
    pub(super) fields: Map<String, Value>,
    pub(super) files: HashMap<String, File>,
}

/// An uploaded file.
pub(super) struct File {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

impl Params {
    /// Parses a request. Returns `None` if the body does not match its content type.
    pub(super) async fn of(request: Request) -> Option<Self> {
        let mut params = Self::default();
        let Query(query) = Query::<HashMap<String, String>>::try_from_uri(request.uri()).ok()?;
        params.add(query);
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match content_type.unwrap_or_default().split(';').next().unwrap_or_default() {
            "application/json" => {
                let Json(body) = Json::<Map<String, Value>>::from_request(request, &()).await.ok()?;
                params.fields.extend(body);
            }
            "application/x-www-form-urlencoded" => {
                let Form(body) = Form::<HashMap<String, String>>::from_request(request, &()).await.ok()?;
                params.add(body);
            }
            "multipart/form-data" => params.add_parts(Multipart::from_request(request, &()).await.ok()?).await?,
            _ => {}
        }
        Some(params)
    }

    fn add(&mut self, fields: HashMap<String, String>) {
        self.fields.extend(fields.into_iter().map(|(name, value)| (name, Value::String(value))));
    }

    async fn add_parts(&mut self, mut parts: Multipart) -> Option<()> {
        while let Some(part) = parts.next_field().await.ok()? {
            let name = part.name()?.to_owned();
            match part.file_name().map(str::to_owned) {
                Some(file_name) => {
                    let content = part.bytes().await.ok()?.to_vec();
                    self.files.insert(name, File { name: file_name, content });
                }
                None => {
                    self.fields.insert(name, Value::String(part.text().await.ok()?));
                }
            }
        }
        Some(())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    /// A number, which may be a string.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        let value = self.fields.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    /// A flag, which may be a string.
    pub(super) fn flag(&self, name: &str) -> bool {
        let value = self.fields.get(name);
        value.is_some_and(|value| value.as_bool().unwrap_or(value.as_str() == Some("true")))
    }

    /// A list of strings, which may be a JSON string.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let value = self.fields.get(name)?;
        match value.as_str() {
            Some(json) => serde_json::from_str(json).ok(),
            None => serde_json::from_value(value.clone()).ok(),
        }
    }

    /// The file of a parameter: a part of this name, or the part that `attach://` names.
    pub(super) fn file(&self, name: &str) -> Option<&File> {
        let attached = || self.files.get(self.text(name)?.strip_prefix("attach://")?);
        self.files.get(name).or_else(attached)
    }
}
