//! Request bodies: forms, JSON objects and multipart forms, all turned into the fields that a route asks for.
//!
//! Fields that it does not ask for are skipped and never kept: a small body can hold very many.

use std::fmt;

use axum::{
    body::to_bytes,
    extract::{FromRequest as _, Multipart, Request},
    http::{StatusCode, header},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::problem::Problem;

/// The named values of a body. Of a name that comes twice the last value counts.
pub(crate) struct Fields(Vec<(&'static str, Value)>);

/// What a field holds.
#[derive(Debug, PartialEq)]
enum Value {
    Text(String),
    Integer(i64),
    /// Anything that no field may hold, such as a list.
    Other,
}

enum Kind {
    Form,
    Json,
    Multipart,
}

/// Reads the fields with these `names` from the body of `request`, which is whole and within the limits of the process.
///
/// # Errors
///
/// 400 when it is malformed, 415 when it is of another kind.
pub(crate) async fn read(request: Request, names: &'static [&'static str]) -> Result<Fields, Problem> {
    let kind = kind_of(request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default()))?;
    let mut fields = Fields(Vec::with_capacity(names.len()));
    match kind {
        Kind::Multipart => parse_multipart(request, names, &mut fields).await?,
        Kind::Form | Kind::Json => {
            let bytes = to_bytes(request.into_body(), usize::MAX).await;
            let bytes = bytes.map_err(|_| malformed("the body did not arrive whole"))?;
            match kind {
                Kind::Form => parse_form(&bytes, names, &mut fields)?,
                Kind::Json | Kind::Multipart => parse_json(&bytes, names, &mut fields)?,
            }
        }
    }
    Ok(fields)
}

impl Fields {
    /// A field that must be a string.
    pub(crate) fn required_string(&mut self, name: &str) -> Result<String, Problem> {
        self.optional_string(name)?.ok_or_else(|| Problem::field(name, "must be given"))
    }

    /// A field that must be a string, or not there.
    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Integer(_) | Value::Other) => Err(Problem::field(name, "must be a string")),
        }
    }

    /// A field that must be an integer of 64 bits: a number, or a string of digits.
    pub(crate) fn required_integer(&mut self, name: &str) -> Result<i64, Problem> {
        self.optional_integer(name)?.ok_or_else(|| Problem::field(name, "must be given"))
    }

    /// As [`required_integer`](Self::required_integer), or not there.
    pub(crate) fn optional_integer(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Value::Integer(number)) => Some(number),
            Some(Value::Text(digits)) => digits.parse().ok(),
            Some(Value::Other) => None,
        };
        number.map(Some).ok_or_else(|| Problem::field(name, "must be an integer of 64 bits"))
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.swap_remove(index).1)
    }

    fn put(&mut self, name: &'static str, value: Value) {
        drop(self.take(name));
        self.0.push((name, value));
    }
}

fn kind_of(content_type: Option<&str>) -> Result<Kind, Problem> {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => Ok(Kind::Form),
        "application/json" => Ok(Kind::Json),
        "multipart/form-data" => Ok(Kind::Multipart),
        _ => Err(other_kind()),
    }
}

/// The body is of a kind that is not read here.
pub(crate) fn other_kind() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "the content type must be application/x-www-form-urlencoded, application/json or multipart/form-data",
    )
}

/// The body did not arrive.
pub(crate) fn late() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")
}

/// The body cannot be read.
pub(crate) fn malformed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// Strict where the usual parsers are lenient: what is no UTF-8 is refused, not replaced.
fn parse_form(bytes: &[u8], names: &[&'static str], fields: &mut Fields) -> Result<(), Problem> {
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let split = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(split);
        let name = decode(name).ok_or_else(|| malformed("a field's name is no UTF-8"))?;
        let Some(name) = names.iter().find(|known| **known == name) else { continue };
        let value = decode(value.strip_prefix(b"=").unwrap_or_default());
        fields.put(name, Value::Text(value.ok_or_else(|| Problem::field(name, "must be UTF-8"))?));
    }
    Ok(())
}

fn decode(bytes: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    String::from_utf8(percent_encoding::percent_decode(&spaced).collect()).ok()
}

async fn parse_multipart(request: Request, names: &[&'static str], fields: &mut Fields) -> Result<(), Problem> {
    let broken = || malformed("the body is no multipart form");
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| broken())?;
    while let Some(field) = form.next_field().await.map_err(|_| broken())? {
        let Some(name) = names.iter().find(|known| field.name() == Some(**known)) else { continue };
        let bytes = field.bytes().await.map_err(|_| broken())?;
        let value = String::from_utf8(bytes.into()).map_err(|_| Problem::field(name, "must be UTF-8"))?;
        fields.put(name, Value::Text(value));
    }
    Ok(())
}

fn parse_json(bytes: &[u8], names: &[&'static str], fields: &mut Fields) -> Result<(), Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = json.deserialize_any(JsonObject { names, fields }).and_then(|()| json.end());
    parsed.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => malformed("the body must be a JSON object"),
        _ => malformed("the body is no JSON"),
    })
}

/// A JSON object, of which the named members are kept.
struct JsonObject<'a> {
    names: &'a [&'static str],
    fields: &'a mut Fields,
}

impl<'de> Visitor<'de> for JsonObject<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key_seed(Name(self.names))? {
            match name {
                Some(name) => self.fields.put(name, members.next_value()?),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The name of a member, if it is one of these.
#[derive(Clone, Copy)]
struct Name<'a>(&'a [&'static str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<&'static str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().copied().find(|known| *known == name))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Other, Value::Integer))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["id", "text"];

    async fn fields(content_type: &str, body: impl Into<axum::body::Body>) -> Vec<(&'static str, Value)> {
        let request = Request::post("/").header(header::CONTENT_TYPE, content_type).body(body.into()).unwrap();
        read(request, NAMES).await.unwrap_or_else(|problem| panic!("{problem:?}")).0
    }

    #[tokio::test]
    async fn nothing_is_kept_of_what_no_route_asks_for() {
        let text = |text: &str| Value::Text(text.to_owned());
        let expected = vec![("id", Value::Integer(7)), ("text", text("a\n"))];
        let unknown = "[[{\"text\":0},null]],".repeat(1000);
        let json =
            format!(r#"{{"unknown": [{unknown} 1], "id": 1, "x\u0000": 1e9, "te\u0078t": "a\n", "y": {{}}, "id": 7}}"#);
        let mut found = fields("application/json; charset=utf-8", json).await;
        found.sort_by_key(|(name, _)| *name);
        assert_eq!(found, expected);

        let form = format!("{}id=1&text=a%0A&id=7", "unknown=1&".repeat(1000));
        let mut found = fields("application/x-www-form-urlencoded", form).await;
        found.sort_by_key(|(name, _)| *name);
        assert_eq!(found, [("id", text("7")), ("text", text("a\n"))]);

        let part = |name: &str, value: &str| {
            format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let form = format!("{}{}{}--b--\r\n", part("unknown", "1"), part("text", "a"), part("text", "a\n"));
        assert_eq!(fields("multipart/form-data; boundary=b", form).await, [("text", text("a\n"))]);
    }

    #[tokio::test]
    async fn json_values_that_no_field_may_hold_are_not_taken_for_others() {
        for other in ["null", "true", "1.5", "9223372036854775808", "[1]", "{\"text\": \"x\"}"] {
            let found = fields("application/json", format!("{{\"text\": {other}}}")).await;
            assert_eq!(found, [("text", Value::Other)], "{other}");
        }
    }

    #[test]
    fn what_is_no_json_and_what_is_no_object_are_told_apart() {
        let parse = |json: &str| {
            let parsed = parse_json(json.as_bytes(), NAMES, &mut Fields(Vec::new()));
            parsed.err().map(|problem| problem.to_json()["detail"].as_str().unwrap().to_owned())
        };
        assert_eq!(parse("{}"), None);
        for no_json in ["", "{", "{\"text\"", "{} {}", "{\"unknown\": [1,}", "x"] {
            assert_eq!(parse(no_json).as_deref(), Some("the body is no JSON"), "{no_json}");
        }
        for no_object in ["1", "[]", "\"x\"", "null"] {
            assert_eq!(parse(no_object).as_deref(), Some("the body must be a JSON object"), "{no_object}");
        }
    }
}
