//! Renders the OpenAPI document as a page for people, without scripts and external resources.

use std::fmt::Write as _;

use utoipa::openapi::{
    Content, OpenApi, RefOr, Required, Response, Schema,
    path::{Operation, Parameter, ParameterIn},
    schema::{ArrayItems, Object, SchemaType},
};

/// The media type of problems.
pub(super) const PROBLEM: &str = "application/problem+json";

/// One call, and its anchor on the page.
struct Call<'a> {
    anchor: String,
    method: &'static str,
    path: &'a str,
    operation: &'a Operation,
}

/// A row of a table of fields, headers or parameters.
struct Row<'a> {
    name: &'a str,
    kind: String,
    required: bool,
    description: &'a str,
}

pub(super) fn render(document: &OpenApi) -> String {
    let mut html = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Mayfly: REST</title>\n\
         <link rel=\"stylesheet\" href=\"/api/docs/style.css\">\n<link rel=\"icon\" href=\"/api/docs/icon.svg\" type=\"image/svg+xml\">\n</head>\n<body>\n\
         <header>\n<h1>Mayfly over REST</h1>\n",
    );
    for paragraph in document.info.description.as_deref().unwrap_or_default().split("\n\n") {
        push(&mut html, format_args!("<p>{}</p>\n", render_text(paragraph)));
    }
    html.push_str("<p>For programs: <a href=\"/api/openapi.json\">openapi.json</a>, version 3.1.</p>\n</header>\n");
    let calls = calls_of(document);
    html.push_str("<nav aria-label=\"Calls\">\n<ul>\n");
    for Call { anchor, method, path, operation } in &calls {
        let summary = render_text(operation.summary.as_deref().unwrap_or_default());
        push(
            &mut html,
            format_args!(
                "<li><a href=\"#{anchor}\"><span class=\"method\">{method}</span> <code>{}</code></a> <span>{summary}</span></li>\n",
                escape(path)
            ),
        );
    }
    html.push_str("</ul>\n</nav>\n<main>\n");
    for tag in document.tags.iter().flatten() {
        let description = render_text(tag.description.as_deref().unwrap_or_default());
        let anchor = format!("tag-{}", tag.name.replace(' ', "-"));
        push(
            &mut html,
            format_args!(
                "<section aria-labelledby=\"{anchor}\">\n<h2 id=\"{anchor}\">{}</h2>\n<p>{description}</p>\n",
                escape(&capitalized(&tag.name))
            ),
        );
        for call in calls.iter().filter(|call| call.operation.tags.iter().flatten().any(|name| *name == tag.name)) {
            render_call(&mut html, document, call);
        }
        html.push_str("</section>\n");
    }
    render_problems(&mut html, document);
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn calls_of(document: &OpenApi) -> Vec<Call<'_>> {
    let mut calls = Vec::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in [("GET", &item.get), ("POST", &item.post)] {
            let Some(operation) = operation else { continue };
            let anchor = operation.operation_id.clone().unwrap_or_default();
            calls.push(Call { anchor, method, path, operation });
        }
    }
    calls
}

fn render_call(html: &mut String, document: &OpenApi, call: &Call<'_>) {
    let Call { anchor, method, path, operation } = call;
    push(
        html,
        format_args!(
            "<article aria-labelledby=\"{anchor}\">\n<h3 id=\"{anchor}\"><span class=\"method\">{method}</span> <code>{}</code></h3>\n\
         <p>{}.</p>\n",
            escape(path),
            render_text(operation.summary.as_deref().unwrap_or_default()),
        ),
    );
    if let Some(description) = &operation.description {
        push(html, format_args!("<p>{}</p>\n", render_text(description)));
    }
    if operation.security.is_some() {
        html.push_str("<p>Takes a bearer token: <code>Authorization: Bearer …</code></p>\n");
    }
    let parameters: Vec<_> = operation.parameters.iter().flatten().filter_map(inline).collect();
    for (title, location) in [("Path parameters", ParameterIn::Path), ("Headers", ParameterIn::Header)] {
        let matching = parameters.iter().filter(|parameter| parameter.parameter_in == location);
        render_table(html, title, &matching.map(|parameter| parameter_row(parameter)).collect::<Vec<_>>());
    }
    let body = operation.request_body.as_ref().and_then(inline);
    let fields = body.and_then(|body| object_of(document, body.content.values().find_map(inline)?));
    if let Some(fields) = fields {
        render_table(html, "Body", &rows_of(document, fields));
    }
    render_example(html, document, call, fields);
    html.push_str("<h4>Responses</h4>\n");
    for (status, response) in &operation.responses.responses {
        if let Some(response) = inline(response) {
            render_response(html, document, status, response);
        }
    }
    html.push_str("</article>\n");
}

fn render_response(html: &mut String, document: &OpenApi, status: &str, response: &Response) {
    let headers = response.headers.iter().filter_map(|(name, header)| {
        let header = inline(header)?;
        let example =
            header.example.as_ref().map(|example| example.as_str().map_or_else(|| example.to_string(), str::to_owned));
        let kind = example.map(|example| format!("such as {example}")).unwrap_or_default();
        Some(Row { name, kind, required: false, description: header.description.as_deref().unwrap_or_default() })
    });
    let headers: Vec<_> = headers.collect();
    let content = response.content.iter().find(|(media_type, _)| *media_type != PROBLEM);
    let object = content.and_then(|(_, content)| object_of(document, inline(content)?));
    let summary = format!("<strong>{}</strong> {}", escape(status), render_text(&response.description));
    let problem = response.content.get(PROBLEM).and_then(inline).and_then(|content| content.example.as_ref());
    if headers.is_empty() && object.is_none() && problem.is_none() {
        push(html, format_args!("<p class=\"response\">{summary}</p>\n"));
        return;
    }
    let open = if object.is_some() { " open" } else { "" };
    push(html, format_args!("<details{open}>\n<summary>{summary}</summary>\n"));
    render_table(html, "Headers", &headers);
    if let Some(object) = object {
        render_object(html, document, object);
    }
    if let Some(problem) = problem {
        push(html, format_args!("<pre>{}</pre>\n", escape(&format!("{problem:#}"))));
    }
    html.push_str("</details>\n");
}

/// Renders the schema that all problems share.
fn render_problems(html: &mut String, document: &OpenApi) {
    let schemas = document.components.as_ref().map(|components| &components.schemas);
    let Some(RefOr::T(Schema::Object(problem))) = schemas.and_then(|schemas| schemas.get("Problem")) else { return };
    push(
        html,
        format_args!(
            "<section aria-labelledby=\"problems\">\n<h2 id=\"problems\">Problems</h2>\n\
             <p>The body of every response from 400 on, as <code>{PROBLEM}</code>.</p>\n<article>\n"
        ),
    );
    render_object(html, document, problem);
    html.push_str("</article>\n</section>\n");
}

/// Renders the fields of a response, and an example.
fn render_object(html: &mut String, document: &OpenApi, object: &Object) {
    let rows = rows_of(document, object).into_iter().map(|row| Row { required: false, ..row });
    render_table(html, "", &rows.collect::<Vec<_>>());
    push(html, format_args!("<pre>{}</pre>\n", escape(&example_of(document, object))));
}

fn render_table(html: &mut String, title: &str, rows: &[Row<'_>]) {
    if rows.is_empty() {
        return;
    }
    if !title.is_empty() {
        push(html, format_args!("<h4>{}</h4>\n", escape(title)));
    }
    html.push_str("<dl>\n");
    for Row { name, kind, required, description } in rows {
        let kind =
            if kind.is_empty() { String::new() } else { format!(" <span class=\"kind\">{}</span>", escape(kind)) };
        let required = if *required { " <span class=\"required\">required</span>" } else { "" };
        push(
            html,
            format_args!(
                "<dt><code>{}</code>{kind}{required}</dt>\n<dd>{}</dd>\n",
                escape(name),
                render_text(description)
            ),
        );
    }
    html.push_str("</dl>\n");
}

/// Renders a curl command with the required fields.
fn render_example(html: &mut String, document: &OpenApi, call: &Call<'_>, fields: Option<&Object>) {
    let mut command = String::from("curl");
    if call.operation.security.is_some() {
        command.push_str(" -H \"Authorization: Bearer $(mayfly token)\"");
    }
    let parameters = call.operation.parameters.iter().flatten().filter_map(inline);
    if let Some(key) = parameters.clone().find(|parameter| parameter.parameter_in == ParameterIn::Header) {
        push(&mut command, format_args!(" -H \"{}: $(uuidgen)\"", key.name));
    }
    for (name, field) in fields.iter().flat_map(|fields| &fields.properties) {
        if fields.is_some_and(|fields| fields.required.contains(name)) {
            let example = schema_example(document, field);
            let value = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            push(&mut command, format_args!(" -d '{name}={value}'"));
        }
    }
    let path = call.path.replace("{id}", "4").replace("{token}", "0b5e…");
    push(html, format_args!("<pre>{} http://127.0.0.1:8001{}</pre>\n", escape(&command), escape(&path)));
}

fn parameter_row(parameter: &Parameter) -> Row<'_> {
    let kind = parameter.schema.as_ref().and_then(inline).map(kind_of).unwrap_or_default();
    let required = parameter.required == Required::True;
    Row { name: &parameter.name, kind, required, description: parameter.description.as_deref().unwrap_or_default() }
}

fn rows_of<'a>(document: &'a OpenApi, object: &'a Object) -> Vec<Row<'a>> {
    let row = |(name, field): (&'a String, &'a RefOr<Schema>)| {
        let schema = resolve(document, field)?;
        let description = match schema {
            Schema::Array(array) => array.description.as_deref(),
            Schema::Object(object) => object.description.as_deref(),
            _ => None,
        };
        let required = object.required.contains(name);
        Some(Row { name, kind: kind_of(schema), required, description: description.unwrap_or_default() })
    };
    object.properties.iter().filter_map(row).collect()
}

fn kind_of(schema: &Schema) -> String {
    let Schema::Object(object) = schema else { return "array".to_owned() };
    let name = |kind: &utoipa::openapi::Type| serde_json::to_value(kind).ok()?.as_str().map(str::to_owned);
    match &object.schema_type {
        SchemaType::Type(kind) => name(kind).unwrap_or_default(),
        SchemaType::Array(kinds) => kinds.iter().filter_map(name).collect::<Vec<_>>().join(" or "),
        SchemaType::AnyValue => "anything".to_owned(),
    }
}

fn example_of(document: &OpenApi, object: &Object) -> String {
    let fields = object.properties.iter().map(|(name, field)| {
        let value = schema_example(document, field);
        format!("  {}: {value}", serde_json::Value::from(name.as_str()))
    });
    format!("{{\n{}\n}}", fields.collect::<Vec<_>>().join(",\n"))
}

/// Returns an example of a value, made from the examples of its parts.
pub(super) fn schema_example(document: &OpenApi, field: &RefOr<Schema>) -> serde_json::Value {
    match resolve(document, field) {
        Some(Schema::Object(object)) => {
            let example = object.example.as_ref().or(object.examples.first()).cloned();
            let of_kind = || match kind_of(&Schema::Object(object.clone())).as_str() {
                "boolean" => false.into(),
                "string" => "…".into(),
                _ => object
                    .properties
                    .iter()
                    .map(|(name, field)| (name.clone(), schema_example(document, field)))
                    .collect(),
            };
            example.unwrap_or_else(of_kind)
        }
        Some(Schema::Array(array)) => match &array.items {
            ArrayItems::RefOrSchema(item) => vec![schema_example(document, item)].into(),
            ArrayItems::False => serde_json::Value::Array(Vec::new()),
        },
        _ => serde_json::Value::Null,
    }
}

fn object_of<'a>(document: &'a OpenApi, content: &'a Content) -> Option<&'a Object> {
    match resolve(document, content.schema.as_ref()?)? {
        Schema::Object(object) if !object.properties.is_empty() => Some(object),
        _ => None,
    }
}

fn resolve<'a>(document: &'a OpenApi, schema: &'a RefOr<Schema>) -> Option<&'a Schema> {
    match schema {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next()?;
            resolve(document, document.components.as_ref()?.schemas.get(name)?)
        }
    }
}

/// AllowedMethod schemas are referred to in this document.
fn inline<T>(part: &RefOr<T>) -> Option<&T> {
    match part {
        RefOr::T(part) => Some(part),
        RefOr::Ref(_) => None,
    }
}

/// Escapes a text, and renders its `code`.
fn render_text(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in text.split('`').enumerate() {
        let part = escape(part);
        if index % 2 == 1 { push(&mut html, format_args!("<code>{part}</code>")) } else { html.push_str(&part) }
    }
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn push(html: &mut String, part: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = html.write_fmt(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_document_cannot_become_markup() {
        assert_eq!(render_text("a <b> & `\"c\"`"), "a &lt;b&gt; &amp; <code>&quot;c&quot;</code>");
    }
}
