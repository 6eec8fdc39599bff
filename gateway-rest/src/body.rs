//! Parses request bodies (forms, JSON objects and multipart forms) into the fields of a route.
//!
//! Unknown fields are skipped and never stored: a small body can contain very many.

use std::{borrow::Cow, collections::HashMap};

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::problem::Problem;

/// The known fields of a body. If a field occurs twice, the last value counts.
#[derive(Default)]
pub(crate) struct Fields(HashMap<&'static str, Value>);

/// The value of a field.
#[derive(Debug, PartialEq)]
enum Value {
    Text(String),
    Integer(i64),
    /// A value of an unsupported type, such as a list.
    Unsupported,
}

/// The fields of all routes.
const FIELD_NAMES: [&str; 5] = ["id", "access_token", "text", "ttl", "passphrase"];

/// The format of a body.
enum Format {
    Form,
    Json,
    Multipart,
}

/// The field in which a form names its charset (RFC 7578, section 4.6).
const CHARSET_FIELD: &str = "_charset_";
/// UTF-8 and its subsets.
const UTF_8_CHARSETS: [&str; 4] = ["utf-8", "utf8", "us-ascii", "ascii"];
const CONTENT_TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");
/// The content transfer encodings that do not change a part's bytes.
const IDENTITY_TRANSFER_ENCODINGS: [&str; 4] = ["", "7bit", "8bit", "binary"];
/// The content encodings that do not change a body's bytes.
const IDENTITY_ENCODINGS: [&str; 2] = ["", "identity"];
/// The type of a part that consists of parts.
const MULTIPART_PREFIX: &str = "multipart/";
/// Some programs write this mark before a UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the fields from the body of a request. The limits of the process have checked its size.
///
/// # Errors
///
/// Returns 400 for a malformed body, and 415 for an unsupported media type, charset or encoding.
impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Problem> {
        DefaultBodyLimit::disable().apply(&mut request);
        let content_type = header_text(request.headers(), &header::CONTENT_TYPE);
        let format = format_of(content_type)?;
        check_charset(charset_of(content_type))?;
        check_content_encoding(request.headers())?;
        if matches!(format, Format::Multipart) {
            return parse_multipart(request, state).await;
        }
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|_| Problem::malformed("the body did not arrive whole"))?;
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        if matches!(format, Format::Form) { parse_form(bytes) } else { parse_json(bytes) }
    }
}

impl Fields {
    /// Takes a field that must be a string.
    pub(crate) fn required_string(&mut self, name: &str) -> Result<String, Problem> {
        self.optional_string(name)?.ok_or_else(|| Problem::field(name, "must be given"))
    }

    /// Takes a field that must be a string or missing.
    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Integer(_) | Value::Unsupported) => Err(Problem::field(name, "must be a string")),
        }
    }

    /// Takes a field that must be an integer of 64 bits: a number, or a string of digits.
    pub(crate) fn required_integer(&mut self, name: &str) -> Result<i64, Problem> {
        self.optional_integer(name)?.ok_or_else(|| Problem::field(name, "must be given"))
    }

    /// Like [`required_integer`](Self::required_integer), for a field that may be missing. An empty string counts as
    /// missing, since forms send it for an empty input.
    pub(crate) fn optional_integer(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Value::Text(empty)) if empty.is_empty() => return Ok(None),
            Some(Value::Integer(number)) => Some(number),
            Some(Value::Text(digits)) => digits.parse().ok(),
            Some(Value::Unsupported) => None,
        };
        number.map(Some).ok_or_else(|| Problem::field(name, "must be an integer of 64 bits"))
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }
}

/// Returns the field with this name, if a route has one.
fn known_field(name: &str) -> Option<&'static str> {
    FIELD_NAMES.into_iter().find(|known| *known == name)
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim()
}

fn format_of(content_type: &str) -> Result<Format, Problem> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => Ok(Format::Form),
        "application/json" => Ok(Format::Json),
        "multipart/form-data" => Ok(Format::Multipart),
        _ => Err(Problem::unsupported_body()),
    }
}

/// Returns the charset that a content type declares, if any.
fn charset_of(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

fn contains_ignore_case(known: &[&str], name: &str) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn check_charset(charset: Option<&str>) -> Result<(), Problem> {
    match charset {
        Some(charset) if !contains_ignore_case(&UTF_8_CHARSETS, charset) => {
            Err(Problem::unsupported(format!("the charset must be UTF-8, not {charset}")))
        }
        _ => Ok(()),
    }
}

fn check_content_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let transferred = unsupported_encoding(headers, &header::TRANSFER_ENCODING, &["", "identity", "chunked"]);
    match transferred.or_else(|| unsupported_encoding(headers, &header::CONTENT_ENCODING, &IDENTITY_ENCODINGS)) {
        None => Ok(()),
        Some(encoding) => {
            let problem =
                Problem::unsupported(format!("the body must come without a content encoding, not as {encoding}"));
            // RFC 9110, section 12.5.3: the encoding that a request may have instead.
            Err(problem.with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")))
        }
    }
}

/// Rejects encoded and nested parts. Both are deprecated (RFC 7578, sections 4.3 and 4.7), so no part is decoded.
fn check_part(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type = header_text(headers, &header::CONTENT_TYPE);
    check_charset(charset_of(content_type))?;
    if content_type.get(..MULTIPART_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART_PREFIX)) {
        return Err(Problem::unsupported("the parts must not be multipart themselves"));
    }
    if let Some(encoding) = unsupported_encoding(headers, &CONTENT_TRANSFER_ENCODING, &IDENTITY_TRANSFER_ENCODINGS) {
        return Err(Problem::unsupported(format!(
            "the parts must come without a content transfer encoding, not as {encoding}"
        )));
    }
    match unsupported_encoding(headers, &header::CONTENT_ENCODING, &IDENTITY_ENCODINGS) {
        None => Ok(()),
        Some(encoding) => {
            Err(Problem::unsupported(format!("the parts must come without a content encoding, not as {encoding}")))
        }
    }
}

/// Returns the first encoding in the header that is not `allowed`.
fn unsupported_encoding<'a>(headers: &'a HeaderMap, name: &HeaderName, allowed: &[&str]) -> Option<&'a str> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("of an unknown name"));
    lines.flat_map(|line| line.split(',')).map(str::trim).find(|encoding| !contains_ignore_case(allowed, encoding))
}

/// Rejects invalid UTF-8, which the usual parsers replace.
fn parse_form(bytes: &[u8]) -> Result<Fields, Problem> {
    let mut fields = Fields::default();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let split = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(split);
        // ASCII in UTF-16 is valid UTF-8 with zero bytes.
        let name = decode_form_component(name).filter(|name| !name.contains('\0'));
        let name = name.ok_or_else(|| Problem::malformed("the form must be UTF-8, and the name of a field is not"))?;
        let value = value.strip_prefix(b"=").unwrap_or_default();
        if name == CHARSET_FIELD {
            check_charset(Some(&String::from_utf8_lossy(value)))?;
        }
        let Some(name) = known_field(&name) else { continue };
        let value = decode_form_component(value).ok_or_else(|| Problem::field(name, "must be UTF-8"))?;
        fields.0.insert(name, Value::Text(value));
    }
    Ok(fields)
}

fn decode_form_component(bytes: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    String::from_utf8(percent_encoding::percent_decode(&spaced).collect()).ok()
}

async fn parse_multipart<S: Send + Sync>(request: Request, state: &S) -> Result<Fields, Problem> {
    let mut fields = Fields::default();
    let invalid = || Problem::malformed("the body is no multipart form");
    let mut form = Multipart::from_request(request, state).await.map_err(|_| invalid())?;
    while let Some(field) = form.next_field().await.map_err(|_| invalid())? {
        if field.name() == Some(CHARSET_FIELD) {
            check_charset(Some(&String::from_utf8_lossy(&field.bytes().await.map_err(|_| invalid())?)))?;
            continue;
        }
        let Some(name) = field.name().and_then(known_field) else { continue };
        check_part(field.headers())?;
        let bytes = field.bytes().await.map_err(|_| invalid())?;
        let value = String::from_utf8(bytes.into()).map_err(|_| Problem::field(name, "must be UTF-8"))?;
        fields.0.insert(name, Value::Text(value));
    }
    Ok(fields)
}

fn parse_json(bytes: &[u8]) -> Result<Fields, Problem> {
    // JSON has no zero bytes, but ASCII in UTF-16 has.
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| Problem::malformed("the body must be UTF-8"))?;
    // Values stay references into the body until their field turns out to be known.
    let members: HashMap<FieldName, &RawValue> =
        serde_json::from_str(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Problem::malformed("the body must be a JSON object"),
            _ => Problem::malformed("the body is no JSON"),
        })?;
    let known =
        members.into_iter().filter_map(|(FieldName(name), value)| Some((name?, Value::from_json(value.get())?)));
    Ok(Fields(known.collect()))
}

/// The name of a member, if it is known. All unknown names are equal, so a map stores one of them.
#[derive(PartialEq, Eq, Hash)]
struct FieldName(Option<&'static str>);

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(json).map(|name| Self(known_field(&name)))
    }
}

impl Value {
    /// Returns the value of valid JSON, or `None` for null.
    fn from_json(json: &str) -> Option<Self> {
        if json == "null" {
            return None;
        }
        let number = || serde_json::from_str(json).map(Self::Integer);
        Some(serde_json::from_str(json).map(Self::Text).or_else(|_| number()).unwrap_or(Self::Unsupported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a body, sorted by name.
    async fn fields(content_type: &str, body: impl Into<axum::body::Body>) -> Vec<(&'static str, Value)> {
        let request = Request::post("/").header(header::CONTENT_TYPE, content_type).body(body.into()).unwrap();
        let fields = Fields::from_request(request, &()).await.unwrap_or_else(|problem| panic!("{problem:?}"));
        let mut fields: Vec<_> = fields.0.into_iter().collect();
        fields.sort_by_key(|(name, _)| *name);
        fields
    }

    #[tokio::test]
    async fn unknown_fields_are_not_stored() {
        let text = |text: &str| Value::Text(text.to_owned());
        let expected = vec![("id", Value::Integer(7)), ("text", text("a\n"))];
        let unknown = "[[{\"text\":0},null]],".repeat(1000);
        let json =
            format!(r#"{{"unknown": [{unknown} 1], "id": 1, "x\u0000": 1e9, "te\u0078t": "a\n", "y": {{}}, "id": 7}}"#);
        assert_eq!(fields("application/json; charset=utf-8", json).await, expected);

        let form = format!("{}id=1&text=a%0A&id=7", "unknown=1&".repeat(1000));
        let found = fields("application/x-www-form-urlencoded", form).await;
        assert_eq!(found, [("id", text("7")), ("text", text("a\n"))]);

        let part = |name: &str, value: &str| {
            format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let form = format!("{}{}{}--b--\r\n", part("unknown", "1"), part("text", "a"), part("text", "a\n"));
        assert_eq!(fields("multipart/form-data; boundary=b", form).await, [("text", text("a\n"))]);
    }

    #[tokio::test]
    async fn a_body_may_be_larger_than_the_default_limit_of_axum() {
        let large = "x".repeat(3 << 20);
        let json = format!("{{\"text\": \"{large}\"}}");
        let text = vec![("text", Value::Text(large.clone()))];
        assert!(fields("application/json", json).await == text);
        assert!(fields("multipart/form-data; boundary=b", part("", &large)).await == text);
    }

    #[tokio::test]
    async fn json_values_of_unsupported_types_are_not_converted() {
        for other in ["true", "1.5", "9223372036854775808", "[1]", "{\"text\": \"x\"}"] {
            let found = fields("application/json", format!("{{\"text\": {other}}}")).await;
            assert_eq!(found, [("text", Value::Unsupported)], "{other}");
        }
    }

    async fn rejection(headers: &[(HeaderName, &str)], body: impl Into<axum::body::Body>) -> (u64, String) {
        let mut request = Request::post("/").body(body.into()).unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let problem =
            Fields::from_request(request, &()).await.err().map(|problem| problem.to_json()).unwrap_or_default();
        (problem["status"].as_u64().unwrap_or(200), problem["detail"].as_str().unwrap_or_default().to_owned())
    }

    const FORM: &str = "application/x-www-form-urlencoded";
    const MULTIPART_FORM: &str = "multipart/form-data; boundary=b";

    fn part(headers: &str, value: &str) -> String {
        format!("--b\r\ncontent-disposition: form-data; name=\"text\"\r\n{headers}\r\n{value}\r\n--b--\r\n")
    }

    #[tokio::test]
    async fn null_and_an_empty_input_count_as_missing() {
        for (content_type, body) in [
            ("application/json", r#"{"text": null, "id": null}"#),
            ("application/json", r#"{"text": "x", "text": null, "id": ""}"#),
            (FORM, "id="),
            (FORM, "id=1&id"),
        ] {
            let mut fields = Fields(fields(content_type, body).await.into_iter().collect());
            assert_eq!(fields.optional_string("text").unwrap(), None, "{body}");
            assert_eq!(fields.optional_integer("id").unwrap(), None, "{body}");
        }
        let text = vec![("text", Value::Text("x".to_owned()))];
        assert_eq!(fields("application/json", r#"{"text": null, "text": "x"}"#).await, text);
    }

    #[tokio::test]
    async fn bodies_in_unsupported_charsets_are_rejected_by_name() {
        let latin_1 = b"{\"text\": \"caf\xe9\"}".to_vec();
        let json = r#"{"text": "x"}"#;
        let utf_16_le: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf_16_be: Vec<u8> = json.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = [b"\xff\xfe", &utf_16_le[..]].concat();
        for body in [latin_1, utf_16_le, utf_16_be, marked] {
            let rejected = rejection(&[(header::CONTENT_TYPE, "application/json")], body).await;
            assert_eq!(rejected, (400, "the body must be UTF-8".to_owned()));
        }
        let form: Vec<u8> = "text=x".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let (status, detail) = rejection(&[(header::CONTENT_TYPE, FORM)], form).await;
        assert!(status == 400 && detail.contains("UTF-8"), "{detail}");

        for kind in ["application/json", FORM, "multipart/form-data; boundary=b"] {
            for charset in ["iso-8859-1", "\"UTF-16\"", "windows-1252"] {
                let content_type = format!("{kind}; Charset={charset}");
                let (status, detail) = rejection(&[(header::CONTENT_TYPE, &content_type)], "").await;
                assert_eq!(status, 415, "{content_type}");
                assert!(detail.contains(charset.trim_matches('"')), "{detail}");
            }
        }
        let multipart = [(header::CONTENT_TYPE, "multipart/form-data; boundary=b")];
        let named = "--b\r\ncontent-disposition: form-data; name=\"_charset_\"\r\n\r\nlatin1\r\n--b--\r\n";
        let in_part = part("content-type: text/plain; charset=latin1\r\n", "x");
        for rejected in [
            rejection(&multipart, in_part).await,
            rejection(&multipart, named).await,
            rejection(&[(header::CONTENT_TYPE, FORM)], "_charset_=latin1&text=x").await,
        ] {
            assert_eq!(rejected, (415, "the charset must be UTF-8, not latin1".to_owned()));
        }
    }

    #[tokio::test]
    async fn a_utf_8_body_may_have_a_charset_and_a_byte_order_mark() {
        let text = vec![("text", Value::Text("café".to_owned()))];
        for mark in ["", "\u{feff}"] {
            let json = format!("{mark}{{\"text\": \"café\"}}");
            assert_eq!(fields("application/json; charset=\"UTF-8\"", json).await, text);
            let form = format!("{mark}text=café&_charset_=UTF-8");
            assert_eq!(fields("application/x-www-form-urlencoded;charset=utf8", form).await, text);
        }
        let form = part("content-type: text/plain; charset=utf-8\r\ncontent-transfer-encoding: 8BIT\r\n", "café");
        assert_eq!(fields("multipart/form-data; boundary=b", form).await, text);
    }

    #[tokio::test]
    async fn encoded_bodies_and_parts_are_rejected_by_name() {
        for kind in ["application/json", FORM, "multipart/form-data; boundary=b"] {
            for (name, encodings, encoding) in [
                (header::CONTENT_ENCODING, "gzip", "gzip"),
                (header::CONTENT_ENCODING, "br", "br"),
                (header::CONTENT_ENCODING, "identity, gzip", "gzip"),
                (header::TRANSFER_ENCODING, "gzip, chunked", "gzip"),
            ] {
                let (status, detail) = rejection(&[(header::CONTENT_TYPE, kind), (name, encodings)], "x").await;
                assert!(status == 415 && detail.ends_with(&format!("not as {encoding}")), "{detail}");
            }
        }
        let plain = [(header::CONTENT_TYPE, FORM), (header::CONTENT_ENCODING, "identity")];
        assert_eq!(rejection(&plain, "text=x").await.0, 200);
        for encoding in ["base64", "quoted-printable", "x-uuencode"] {
            let form = part(&format!("Content-Transfer-Encoding: {encoding}\r\n"), "Y2Fm");
            let (status, detail) = rejection(&[(header::CONTENT_TYPE, MULTIPART_FORM)], form).await;
            assert!(status == 415 && detail.contains(encoding), "{detail}");
        }
        let (status, detail) =
            rejection(&[(header::CONTENT_TYPE, MULTIPART_FORM)], part("Content-Encoding: gzip\r\n", "x")).await;
        assert!(status == 415 && detail.contains("gzip"), "{detail}");
        for kind in ["multipart/mixed; boundary=c", "Multipart/Alternative; boundary=c"] {
            let form = part(&format!("content-type: {kind}\r\n"), "--c\r\n\r\nx\r\n--c--");
            let (status, detail) = rejection(&[(header::CONTENT_TYPE, MULTIPART_FORM)], form).await;
            assert!(status == 415 && detail.contains("multipart"), "{detail}");
        }
        let form = part("content-type: application/octet-stream\r\ncontent-encoding: identity\r\n", "x");
        assert_eq!(rejection(&[(header::CONTENT_TYPE, MULTIPART_FORM)], form).await.0, 200);
    }

    #[test]
    fn invalid_json_and_a_json_value_that_is_no_object_have_different_errors() {
        let parse = |json: &str| {
            parse_json(json.as_bytes()).err().map(|problem| problem.to_json()["detail"].as_str().unwrap().to_owned())
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
