//! Checks of the fake server: its replies have the form of the API, and its policy is that of the server.

use serde_json::{Value, json};

use crate::{
    data::{self, HOSTILE},
    fake::POLICY,
};

/// Adds to the schemas of objects that they have no other fields.
fn close(schema: &mut Value) {
    if let Some(fields) = schema.as_object_mut() {
        if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
            fields.insert("additionalProperties".into(), false.into());
        }
        fields.values_mut().for_each(close);
    }
    schema.as_array_mut().into_iter().flatten().for_each(close);
}

fn check(name: &str, value: &Value) {
    let document = include_str!("../../src/api/openapi.json");
    let mut document: Value = serde_json::from_str(document).unwrap();
    let mut components = document["components"].take();
    close(&mut components);
    let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": components});
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {errors:?} in {value}");
}

#[test]
fn replies_of_the_fake_are_in_the_schemas() {
    let mut waits: Vec<_> = [0, 7, 8, 9, 11, 21].map(data::wait).into();
    waits.extend([0, 1].map(data::hostile_wait));
    waits.push(data::finished(3, "stopped"));
    for wait in &waits {
        check("WaitStatus", wait);
    }
    let notifications = vec![data::notification(&waits[0]["key"], HOSTILE)];
    check("NotificationList", &json!({"notifications": notifications}));
    check("Summary", &data::summary(&waits, &notifications));
}

#[test]
fn the_policy_of_the_fake_is_that_of_the_server() {
    let source = include_str!("../../src/api/page.rs").replace("\\\n", "");
    let words: Vec<_> = source.split_whitespace().collect();
    assert!(words.join(" ").contains(&format!("\"{POLICY}\"")));
}
