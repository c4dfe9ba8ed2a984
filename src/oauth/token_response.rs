//! Responses of token endpoints, in their many forms, normalised to RFC 6749.

use serde_json::{Map, Value, json};
use url::form_urlencoded;

/// The members that are kept, as text.
const TEXTS: [&str; 5] = ["access_token", "refresh_token", "id_token", "token_type", "error"];

/// Status and JSON that a strict reader of RFC 6749 takes, from status, content type and body.
///
/// - Bodies may be forms (GitHub) or JSON, whatever the content type says.
/// - An `error` makes a failure of any status.
/// - `token_type` may be missing (`WorkOS`), `expires_in` may be text (Azure AD, version 1).
/// - `scope` is dropped: some send an array (Twitch), and nobody reads it here.
///
/// `None` if there is nothing to be read in it.
pub fn normalised(status: u16, content_type: Option<&str>, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let members = if is_form(content_type) {
        form(body)
    } else {
        serde_json::from_slice(body).ok().or_else(|| {
            // Text that is no JSON may be a form, but only if it says something.
            Some(form(body)).filter(|form| form.contains_key("access_token"))
        })?
    };
    let text = |name: &str| match members.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let mut kept: Map<String, Value> =
        TEXTS.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?.into()))).collect();
    if let Some(error) = text("error") {
        let status = if (400..600).contains(&status) { status } else { 400 };
        return Some((status, json!({"error": error}).to_string().into_bytes()));
    }
    kept.entry("token_type").or_insert_with(|| "bearer".into());
    let seconds = match members.get("expires_in").or_else(|| members.get("expires")) {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    if let Some(seconds) = seconds {
        kept.insert("expires_in".to_owned(), seconds.into());
    }
    Some((status, Value::Object(kept).to_string().into_bytes()))
}

fn is_form(content_type: Option<&str>) -> bool {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    ["application/x-www-form-urlencoded", "text/plain"]
        .iter()
        .any(|form| essence.eq_ignore_ascii_case(form))
        && !essence.is_empty()
}

fn form(body: &[u8]) -> Map<String, Value> {
    form_urlencoded::parse(body)
        .map(|(key, value)| (key.into_owned(), Value::String(value.into_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, content_type: &str, body: &str) -> Option<(u16, Value)> {
        let (status, body) = normalised(status, Some(content_type), body.as_bytes())?;
        Some((status, serde_json::from_slice(&body).unwrap()))
    }

    #[test]
    fn forms_and_json_say_the_same() {
        let json_response = read(
            200,
            "application/json",
            r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r","scope":["x"]}"#,
        );
        let expected =
            json!({"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r"});
        assert_eq!(json_response, Some((200, expected.clone())));
        let form = "access_token=a&token_type=Bearer&expires_in=3600&refresh_token=r&scope=x";
        for content_type in ["application/x-www-form-urlencoded; charset=utf-8", "text/plain"] {
            assert_eq!(read(200, content_type, form), Some((200, expected.clone())));
        }
        assert_eq!(read(200, "text/html", form), Some((200, expected)));
    }

    #[test]
    fn what_is_missing_or_text_is_mended() {
        let response = read(200, "application/json", r#"{"access_token":"a","expires_in":"3599"}"#);
        let expected = json!({"access_token":"a","token_type":"bearer","expires_in":3599});
        assert_eq!(response, Some((200, expected)));
        let odd = read(200, "application/json", r#"{"access_token":"a","expires_in":-1}"#);
        assert_eq!(odd, Some((200, json!({"access_token":"a","token_type":"bearer"}))));
    }

    #[test]
    fn an_error_is_a_failure_whatever_the_status() {
        let refused = Some((400, json!({"error":"bad_verification_code"})));
        assert_eq!(read(200, "application/json", r#"{"error":"bad_verification_code"}"#), refused);
        let form = "error=bad_verification_code&error_description=x";
        assert_eq!(read(200, "application/x-www-form-urlencoded", form), refused);
        let response = read(401, "application/json", r#"{"error":"invalid_client"}"#);
        assert_eq!(response, Some((401, json!({"error":"invalid_client"}))));
    }

    #[test]
    fn pages_and_noise_are_nothing() {
        for body in ["<html>503</html>", "", "[]", "true", "{"] {
            assert_eq!(read(200, "text/html", body), None, "{body}");
        }
    }
}
