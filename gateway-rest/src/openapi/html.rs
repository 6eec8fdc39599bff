//! Renders the OpenAPI document as a page for people, without scripts and external resources.

use minijinja::{Environment, Error, ErrorKind, HtmlEscape, UndefinedBehavior, Value, value::Serde};
use utoipa::openapi::OpenApi;

/// Renders the template `page.html`.
///
/// # Errors
///
/// Returns an error if the template does not fit the document.
pub(super) fn render(document: &OpenApi) -> Result<String, Error> {
    let document = Value::from(Serde(document));
    let schemas = document.get_attr("components")?.get_attr("schemas")?;
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Chainable);
    templates.add_filter("code", |text: &str| Value::from_safe_string(render_text(text)));
    templates.add_filter("kind", kind);
    templates.add_filter("pretty", pretty);
    templates.add_filter("resolved", move |schema: Value| resolved(&schemas, schema));
    templates.add_template("page.html", include_str!("page.html"))?;
    templates.get_template("page.html")?.render(document)
}

/// Escapes a text, and renders its `code`.
fn render_text(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.fold(String::new(), |html, (index, part)| match index % 2 {
        0 => format!("{html}{}", HtmlEscape(part)),
        _ => format!("{html}<code>{}</code>", HtmlEscape(part)),
    })
}

/// The types of a schema, in words.
fn kind(kinds: &Value) -> Result<String, Error> {
    match kinds.as_str() {
        Some(kind) => Ok(kind.to_owned()),
        None => Ok(kinds.try_iter()?.map(|kind| kind.to_string()).collect::<Vec<_>>().join(" or ")),
    }
}

fn pretty(value: &Value) -> Result<String, Error> {
    let invalid = |error| Error::new(ErrorKind::BadSerialization, "the value is no JSON").with_source(error);
    serde_json::to_string_pretty(value).map_err(invalid)
}

/// Returns the schema to which a reference leads. Returns other values unchanged.
fn resolved(schemas: &Value, schema: Value) -> Result<Value, Error> {
    let reference = schema.get_attr("$ref").unwrap_or_default();
    match reference.as_str().and_then(|reference| reference.rsplit('/').next()) {
        Some(name) => schemas.get_attr(name),
        None => Ok(schema),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_document_cannot_become_markup() {
        assert_eq!(render_text("a <b> & `\"c\"`"), "a &lt;b&gt; &amp; <code>&quot;c&quot;</code>");
    }

    #[test]
    fn the_page_shows_every_call() {
        let document = super::super::document();
        let html = render(&document).unwrap();
        for path in document.paths.paths.keys() {
            assert!(html.contains(&format!("<code>{}</code></h3>", HtmlEscape(path))), "{path}");
        }
    }
}
