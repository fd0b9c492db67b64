//! What holds for all operations alike, added to what stands at each route: every status that it can answer with its
//! kinds of problems, media types, limits, and who may ask.

use autonomy_api::{MAX_CHUNKS_BODY, MAX_KEY_LEN, MAX_PARCEL_BODY};
use serde_json::{Map, Value, json};

/// What an operation has that decides which statuses it can answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Has {
    Anything,
    Key,
    Body,
    JsonBody,
    PathId,
    Query,
}

/// The refusals: status, what an operation needs to have to give it, and its kinds. The kind is the part of a problem's
/// `type` after the last slash.
const REFUSALS: [(&str, Has, &str); 12] = [
    ("400", Has::Key, "`idempotency-key`: the header is missing; `malformed`: the body cannot be read"),
    (
        "403",
        Has::Anything,
        "`not-admitted`, `certificate`, `access` (too low), or `machine` (only on the pod's own)",
    ),
    ("404", Has::PathId, "`unknown`: there is no such thing"),
    ("408", Has::Body, "`too-slow`: the body did not arrive in time"),
    ("409", Has::Anything, "`conflict`, `full`, `funds`, `behind`, or `not-adopted`"),
    ("413", Has::Body, "`too-large`: the body is longer than this route takes"),
    ("415", Has::JsonBody, "`media-type`: the body is not said to be JSON"),
    ("422", Has::Key, "`invalid`: a field breaks a rule; `key-reused`; `unsafe`: the checker refuses"),
    ("422", Has::PathId, "`invalid`: the id is none"),
    ("422", Has::Query, "`invalid`: a field breaks a rule"),
    ("503", Has::Anything, "`stopping`, `chain` (not ready), or `busy` with `Retry-After`"),
    ("507", Has::Key, "`disk`: the pod's disk takes no more, nothing was done; with `Retry-After`"),
];

/// Longest lists, by schema and field.
const LISTS: [(&str, &str, u32); 9] = [
    ("Accounts", "accounts", 64),
    ("Contacts", "contacts", 1024),
    ("Devices", "devices", 64),
    ("Files", "files", 64),
    ("History", "entries", 1000),
    ("Invites", "invites", 64),
    ("Messages", "messages", 200),
    ("NewPayment", "recipients", 100),
    ("Payments", "payments", 366),
];

/// Bounds of numbers in queries, by the end of a path and name.
const QUERIES: [(&str, &str, u32, u32); 5] = [
    ("/addresses", "limit", 1, 1000),
    ("/history", "limit", 1, 1000),
    ("/messages", "limit", 1, 200),
    ("/chunks", "count", 1, 40),
    ("/chunks", "first", 0, u32::MAX),
];

/// Completes the document.
pub(super) fn complete(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, operations) in paths {
        for (_, operation) in operations.as_object_mut().into_iter().flatten() {
            complete_operation(path, operation);
        }
    }
    for (schema, field, most) in LISTS {
        if let Some(list) = document.pointer_mut(&format!("/components/schemas/{schema}/properties/{field}"))
        {
            list["maxItems"] = most.into();
        }
    }
    name_event_kinds(document);
    document["components"]["securitySchemes"] = json!({"device": {
        "type": "mutualTLS",
        "description": "TLS 1.3 with the Ed25519 key of an admitted device; on the Unix socket the file mode decides",
    }});
    document["security"] = json!([{"device": []}]);
    document["servers"] = json!([{
        "url": "https://{address}.onion",
        "description": "The pod's app onion service; on its machine the same is served on `pod.sock`",
        "variables": {"address": {"default": "a".repeat(56), "description": "56 characters"}},
    }]);
}

fn complete_operation(path: &str, operation: &mut Value) {
    let summary = operation["summary"].clone();
    complete_parameters(path, operation);
    let has = has(path, operation);
    if let Some(content) = operation.pointer_mut("/requestBody/content") {
        binary(content, if path.ends_with("/chunks") { MAX_CHUNKS_BODY } else { MAX_PARCEL_BODY });
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, needs, kinds) in REFUSALS {
        let not_for_status = path == "/v1/status" && status == "409";
        if has.contains(&needs) && !not_for_status && !responses.contains_key(status) {
            let problem = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
            let response = json!({"description": kinds, "content": {"application/problem+json": problem}});
            responses.insert(status.into(), response);
        }
    }
    for (status, response) in responses {
        complete_response(status, response, &summary);
    }
}

/// A refusal is a problem, and every response says what it is.
fn complete_response(status: &str, response: &mut Value, summary: &Value) {
    let refusal = REFUSALS.iter().find(|(of, ..)| *of == status);
    if refusal.is_some()
        && let Some(content) = response.get_mut("content").and_then(Value::as_object_mut)
        && let Some(problem) = content.remove("application/json")
    {
        content.insert("application/problem+json".into(), problem);
    }
    if response["description"].as_str().is_none_or(str::is_empty) {
        response["description"] = refusal.map_or_else(|| summary.clone(), |(_, _, kinds)| (*kinds).into());
    }
    if let Some(content) = response.get_mut("content") {
        binary(content, MAX_PARCEL_BODY);
    }
}

/// What decides which statuses an operation can answer.
fn has(path: &str, operation: &Value) -> Vec<Has> {
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let within = |place: &str| parameters.iter().any(|parameter| parameter["in"] == place);
    let body = &operation["requestBody"];
    let found = [
        (true, Has::Anything),
        (parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key"), Has::Key),
        (body.is_object(), Has::Body),
        (!body["content"]["application/json"].is_null(), Has::JsonBody),
        (path.contains('{'), Has::PathId),
        (within("query") || within("header"), Has::Query),
    ];
    found.into_iter().filter(|(it, _)| *it).map(|(_, has)| has).collect()
}

fn complete_parameters(path: &str, operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if parameter["name"] == "Idempotency-Key" {
            let pattern = format!("^[!-~]{{1,{MAX_KEY_LEN}}}$");
            parameter["schema"] = json!({"type": "string", "pattern": pattern, "maxLength": MAX_KEY_LEN});
            parameter["description"] = "Fresh and random; the same when this request is repeated".into();
            parameter["example"] = "7f3e1c9a5b0d4e62".into();
        }
        let bounds = QUERIES.iter().find(|(end, name, ..)| path.ends_with(end) && parameter["name"] == *name);
        if let Some((_, _, least, most)) = bounds {
            (parameter["schema"]["minimum"], parameter["schema"]["maximum"]) =
                ((*least).into(), (*most).into());
        }
    }
}

/// Bytes as they are, which the derived schema calls a list of numbers.
fn binary(content: &mut Value, most: usize) {
    if let Some(bytes) = content.get_mut("application/octet-stream") {
        bytes["schema"] = json!({"type": "string", "format": "binary", "maxLength": most});
    }
}

/// Gives each kind of event a name of its own, and says which field tells them apart.
fn name_event_kinds(document: &mut Value) {
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(kinds) = schemas.get_mut("EventKind").and_then(|kinds| kinds["oneOf"].as_array_mut()) else {
        return;
    };
    let (mut named, mut mapping) = (Map::new(), Map::new());
    for kind in kinds {
        let Some(tag) = kind.pointer("/properties/kind/enum/0").and_then(Value::as_str) else { continue };
        let (tag, name) = (tag.to_owned(), format!("Event{}", camel_case(tag)));
        let reference = format!("#/components/schemas/{name}");
        named.insert(name, std::mem::replace(kind, json!({"$ref": reference})));
        mapping.insert(tag, reference.into());
    }
    schemas["EventKind"]["discriminator"] = json!({"propertyName": "kind", "mapping": mapping});
    schemas.extend(named);
}

fn camel_case(tag: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    tag.split('_').filter(|word| !word.is_empty()).map(capital).collect()
}
