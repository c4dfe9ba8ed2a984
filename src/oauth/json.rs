//! Reading providers' JSON: what is missing, empty or of another type is simply not there.

use serde_json::Value;

/// The text at a JSON pointer (RFC 6901), trimmed; `None` if there is none or it is blank.
pub(super) fn text(value: &Value, pointer: &str) -> Option<String> {
    let text = value.pointer(pointer)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A number that names an account, as text. Zero names nobody, and a fraction is no id
/// (docs/reference-behaviour.md#ids-are-whole-numbers).
pub(super) fn numeric_id(value: &Value, pointer: &str) -> Option<String> {
    let id = value.pointer(pointer)?.as_u64().filter(|id| *id > 0)?;
    Some(id.to_string())
}

/// A flag that some providers write as text.
pub(super) fn flag(value: &Value, pointer: &str) -> bool {
    match value.pointer(pointer) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

/// Those of the texts that are there, with one blank between them; `None` if there is none.
pub(super) fn joined(parts: [Option<String>; 2]) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_has_the_right_type_is_there() {
        let value = json!({"a": " x ", "b": " ", "c": 1, "n": null, "d": {"e": "y"}});
        assert_eq!(text(&value, "/a").as_deref(), Some("x"));
        assert_eq!(text(&value, "/d/e").as_deref(), Some("y"));
        for nothing in ["/b", "/c", "/n", "/d", "/missing"] {
            assert_eq!(text(&value, nothing), None, "{nothing}");
        }
    }

    #[test]
    fn ids_are_whole_positive_numbers_of_any_size() {
        let value = json!({"a": 9_007_199_254_740_993_u64, "z": 0, "f": 1.5, "t": "7", "m": -1});
        assert_eq!(numeric_id(&value, "/a").as_deref(), Some("9007199254740993"));
        for nobody in ["/z", "/f", "/t", "/m", "/missing"] {
            assert_eq!(numeric_id(&value, nobody), None, "{nobody}");
        }
    }

    #[test]
    fn flags_may_be_text() {
        let value = json!({"a": true, "b": "true", "c": "yes", "d": 1, "e": false});
        assert!(flag(&value, "/a") && flag(&value, "/b"));
        for off in ["/c", "/d", "/e", "/missing"] {
            assert!(!flag(&value, off), "{off}");
        }
    }

    #[test]
    fn names_are_joined_of_what_is_there() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(joined([some("A"), some("B")]).as_deref(), Some("A B"));
        assert_eq!(joined([None, some("B")]).as_deref(), Some("B"));
        assert_eq!(joined([None, None]), None);
    }
}
