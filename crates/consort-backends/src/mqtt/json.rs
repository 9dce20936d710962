//! Members of JSON documents: the part of a channel behind `#`.

use serde_json::{Map, Value};

/// The largest document that is parsed, in bytes.
pub(super) const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// The deepest member that a channel may name.
const MAX_DEPTH: usize = 32;

/// Checks a pointer (RFC 6901) such as `/color/r` and splits it into names.
pub(super) fn parse_pointer(text: &str) -> Result<Box<[String]>, &'static str> {
    let names = text.strip_prefix('/').ok_or("a JSON pointer begins with `/`")?;
    let mut list = Vec::new();
    for name in names.split('/') {
        let mut rest = name;
        while let Some(offset) = rest.find('~') {
            if !matches!(rest.as_bytes().get(offset + 1), Some(b'0' | b'1')) {
                return Err("in a JSON pointer, `~` is written `~0`, and `/` in a name `~1`");
            }
            rest = &rest[offset + 2..];
        }
        list.push(name.replace("~1", "/").replace("~0", "~"));
    }
    if list.len() > MAX_DEPTH {
        return Err("a JSON pointer has at most 32 names");
    }
    Ok(list.into())
}

/// The member that a pointer names.
pub(super) fn member<'v>(document: &'v Value, names: &[String]) -> Option<&'v Value> {
    names.iter().try_fold(document, |value, name| match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

/// A scalar as the text that formats read; `None` for objects, arrays and null.
pub(super) fn scalar(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        Value::Bool(true) => Some("true".into()),
        Value::Bool(false) => Some("false".into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::String(text) => Some(text.as_str().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A text that a format has written, as a JSON value: numbers and truth values are themselves.
pub(super) fn literal(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_) | Value::Null)) => value,
        _ => Value::String(text.to_owned()),
    }
}

/// Sets a member of an object; objects between are created.
pub(super) fn set(object: &mut Map<String, Value>, names: &[String], value: Value) {
    let Some((last, parents)) = names.split_last() else { return };
    let mut object = object;
    for name in parents {
        let member = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if !member.is_object() {
            *member = Value::Object(Map::new());
        }
        let Value::Object(inner) = member else { return };
        object = inner;
    }
    object.insert(last.clone(), value);
}

/// Calls `handle` with the pointer and value of each scalar, at most `limit` of them.
pub(super) fn scalars(document: &Value, limit: usize, handle: &mut impl FnMut(&str, &Value)) {
    fn walk(
        value: &Value,
        path: &mut String,
        remaining: &mut usize,
        handle: &mut impl FnMut(&str, &Value),
    ) {
        let mut inside = |name: &str, value: &Value, remaining: &mut usize| {
            let length = path.len();
            path.push('/');
            path.push_str(&name.replace('~', "~0").replace('/', "~1"));
            walk(value, path, remaining, handle);
            path.truncate(length);
        };
        match value {
            _ if *remaining == 0 => {}
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| inside(name, value, remaining));
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.for_each(|(index, value)| inside(&index.to_string(), value, remaining));
            }
            _ if !path.is_empty() => {
                *remaining -= 1;
                handle(path, value);
            }
            _ => {}
        }
    }
    walk(document, &mut String::new(), &mut { limit }, handle);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_name_members_and_items() {
        let document = serde_json::json!({"a/b": {"~": [10, {"c": true}]}, "s": "x"});
        let find = |pointer: &str| {
            let names = parse_pointer(pointer).expect(pointer);
            member(&document, &names).and_then(scalar).map(|text| text.into_owned())
        };
        assert_eq!(find("/a~1b/~0/0").as_deref(), Some("10"));
        assert_eq!(find("/a~1b/~0/1/c").as_deref(), Some("true"));
        assert_eq!(find("/s").as_deref(), Some("x"));
        assert_eq!((find("/a~1b"), find("/no"), find("/s/0")), (None, None, None));
        assert!(parse_pointer("a").is_err() && parse_pointer("/a~2").is_err());
        assert!(parse_pointer(&"/x".repeat(33)).is_err());
        let mut found = Vec::new();
        scalars(&document, 2, &mut |pointer, _| found.push(pointer.to_owned()));
        assert_eq!(found, ["/a~1b/~0/0", "/a~1b/~0/1/c"]);
    }

    #[test]
    fn members_are_set_in_nested_objects() {
        let mut object = Map::new();
        for (pointer, text) in [("/seg/bri", "128"), ("/on", "true"), ("/seg/fx", "solid")] {
            set(&mut object, &parse_pointer(pointer).expect(pointer), literal(text));
        }
        let text = Value::Object(object).to_string();
        assert_eq!(text, r#"{"on":true,"seg":{"bri":128,"fx":"solid"}}"#);
    }
}
