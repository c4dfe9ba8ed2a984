//! From bytes to typed requests; every refusal is a 400 that names the field.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::header::CONTENT_TYPE;
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde::de::value::StrDeserializer;
use serde_path_to_error::Segment;
use url::form_urlencoded;

use super::fields::Object;
use crate::domain::error::AuthError;
use crate::domain::json::without_mark;
use crate::http::ApiRequest;

/// Longest reason that is sent back; what the client sent may be quoted in it.
const MAX_REASON: usize = 300;

/// The body as `T`; a body and its content type are required.
///
/// What follows the first JSON value is ignored, as in the reference. A key that is repeated is
/// refused: which of the two counts should not depend on who reads it.
pub fn read_json<T: DeserializeOwned>(request: &ApiRequest) -> Result<T, AuthError> {
    if request.body.is_empty() {
        return Err(AuthError::InvalidRequest("the request body is missing".to_owned()));
    }
    check_content_type(request, "application/json")?;
    parse(&request.body)
}

/// The body as `T`, or `None` when there is no body at all.
pub fn read_optional_json<T: DeserializeOwned>(
    request: &ApiRequest,
) -> Result<Option<T>, AuthError> {
    if request.body.is_empty() { Ok(None) } else { read_json(request).map(Some) }
}

fn check_content_type(request: &ApiRequest, expected: &str) -> Result<(), AuthError> {
    let value = request.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(expected.as_bytes()) {
        return Ok(());
    }
    Err(AuthError::InvalidRequest(format!("header Content-Type must be {expected}")))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AuthError> {
    let body = without_mark(body);
    // Following the path costs time, so only a body that is wrong is read that way, a second time.
    let error = match Object::deserialize(&mut serde_json::Deserializer::from_slice(body)) {
        Ok(Object(value)) => return Ok(value),
        Err(error) => error,
    };
    if !error.is_data() {
        return Err(AuthError::InvalidRequest(format!("malformed JSON: {error}")));
    }
    let mut tracked = serde_json::Deserializer::from_slice(body);
    let text = match serde_path_to_error::deserialize::<_, Object<T>>(&mut tracked) {
        Ok(_) => reason(&error),
        Err(error) => match pointer(error.path()) {
            None => reason(error.inner()),
            Some(pointer) => format!("{pointer}: {}", reason(error.inner())),
        },
    };
    Err(AuthError::InvalidRequest(shortened(text)))
}

/// The parser's text without the position, which means nothing to a client that built an object.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// RFC 6901; `None` for the document itself.
fn pointer(path: &serde_path_to_error::Path) -> Option<String> {
    let mut pointer = String::new();
    for segment in path {
        let _ = match segment {
            Segment::Seq { index } => write!(pointer, "/{index}"),
            Segment::Map { key } => {
                write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Segment::Enum { variant } => write!(pointer, "/{variant}"),
            Segment::Unknown => Ok(()),
        };
    }
    (!pointer.is_empty()).then_some(pointer)
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_REASON {
        text.truncate(text.floor_char_boundary(MAX_REASON));
        text.push('…');
    }
    text
}

/// The decoded query, or form, of one request.
#[derive(Debug)]
pub struct Parameters<'a> {
    /// What they are called in refusals.
    kind: &'static str,
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Decodes the query string as a form; parameters that nobody asks for are ignored.
pub fn read_query(request: &ApiRequest) -> Parameters<'_> {
    let query = request.query().unwrap_or_default().as_bytes();
    Parameters { kind: "query parameter", pairs: form_urlencoded::parse(query).collect() }
}

/// The form in the body; its content type is required.
pub fn read_form(request: &ApiRequest) -> Result<Parameters<'_>, AuthError> {
    check_content_type(request, "application/x-www-form-urlencoded")?;
    Ok(Parameters { kind: "form field", pairs: form_urlencoded::parse(&request.body).collect() })
}

impl Parameters<'_> {
    /// The parameter's value; given twice it is refused.
    pub fn optional(&self, name: &str) -> Result<Option<&str>, AuthError> {
        let mut values =
            self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| &**value);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(AuthError::InvalidRequest(format!(
                "{} {name}: more than one value was given",
                self.kind
            ))),
            (value, None) => Ok(value),
        }
    }

    /// The parameter's value; absent or empty it is refused.
    pub fn required(&self, name: &str) -> Result<&str, AuthError> {
        self.optional(name)?.filter(|value| !value.is_empty()).ok_or_else(|| {
            AuthError::InvalidRequest(format!("{} {name}: a value is required", self.kind))
        })
    }

    /// A parameter that has to look like a field of a body.
    pub fn field<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, AuthError> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        let value = StrDeserializer::<serde::de::value::Error>::new(text);
        T::deserialize(value).map(Some).map_err(|error| self.refusal(name, &error))
    }

    /// A parameter that holds JSON.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, AuthError> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        serde_json::from_slice(without_mark(text.as_bytes()))
            .map(Some)
            .map_err(|error| self.refusal(name, &error))
    }

    fn refusal(&self, name: &str, error: &dyn std::error::Error) -> AuthError {
        AuthError::InvalidRequest(shortened(format!("{} {name}: {error}", self.kind)))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method, Uri};
    use serde::Deserialize;

    use crate::http::input::extract::*;
    use crate::http::input::fields::{
        DisplayName, LocaleField, MetadataField, not_null, not_null_object,
    };

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        email: String,
        #[serde(default, deserialize_with = "not_null_object")]
        options: Option<Options>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Options {
        #[serde(default, deserialize_with = "not_null")]
        allowed_roles: Option<Vec<String>>,
        #[serde(default, deserialize_with = "not_null")]
        display_name: Option<DisplayName>,
        #[serde(default, deserialize_with = "not_null")]
        locale: Option<LocaleField>,
        #[serde(default, deserialize_with = "not_null")]
        metadata: Option<MetadataField>,
    }

    fn request(body: &str, content_type: Option<&str>) -> ApiRequest {
        let uri = Uri::from_static("/x?a=1&b=x+%26y&c=1&c=2&d=");
        let mut request = ApiRequest::new(Method::POST, uri, body.to_owned());
        if let Some(value) = content_type {
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    fn refusal(body: &str) -> String {
        match read_json::<Body>(&request(body, Some("application/json"))) {
            Err(AuthError::InvalidRequest(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refusal_names_the_field() {
        assert_eq!(refusal("{}"), "missing field `email`");
        assert_eq!(
            refusal(r#"{"email":1}"#),
            "/email: invalid type: integer `1`, expected a string"
        );
        assert!(refusal(r#"{"email":"a","foo":1}"#).contains("unknown field `foo`"));
        assert!(
            refusal(r#"{"email":"a","options":{"locale":"eng"}}"#).starts_with("/options/locale: ")
        );
        assert!(
            refusal(r#"{"email":"a","options":{"displayName":"a&b"}}"#)
                .starts_with("/options/displayName: ")
        );
        assert!(
            refusal(r#"{"email":"a","options":{"metadata":[]}}"#)
                .starts_with("/options/metadata: ")
        );
        assert!(
            refusal(r#"{"email":"a","options":{"metadata":{"a":"\u0000"}}}"#)
                .starts_with("/options/metadata: ")
        );
        assert!(
            refusal(r#"{"email":"a","options":{"allowedRoles":["a",1]}}"#)
                .starts_with("/options/allowedRoles/1: ")
        );
        assert!(refusal(r#"{"email":"a","email":"b"}"#).contains("duplicate field `email`"));
        assert!(refusal(r#"{"email":"#).starts_with("malformed JSON: "));
    }

    #[test]
    fn an_array_is_no_object_even_if_its_values_would_fit() {
        assert_eq!(refusal(r#"["a"]"#), "invalid type: sequence, expected an object");
        assert!(refusal(r#"{"email":"a","options":[]}"#).starts_with("/options: "));
    }

    #[test]
    fn an_explicit_null_is_not_an_absent_field() {
        assert!(refusal(r#"{"email":"a","options":null}"#).starts_with("/options: "));
        assert!(
            refusal(r#"{"email":"a","options":{"locale":null}}"#).starts_with("/options/locale: ")
        );
        assert!(
            refusal(r#"{"email":"a","options":{"metadata":null}}"#)
                .starts_with("/options/metadata: ")
        );
    }

    #[test]
    fn all_of_a_valid_body_is_read() {
        let text = r#"{"email":"a","options":{"allowedRoles":["me"],"displayName":"Zoë","locale":"en","metadata":{"n":12345678901234567890123}}}"#;
        let body: Body = read_json(&request(text, Some("application/json"))).unwrap();
        let options = body.options.unwrap();
        assert_eq!(body.email, "a");
        assert_eq!(options.allowed_roles.unwrap(), ["me"]);
        assert_eq!(options.display_name.unwrap().as_str(), "Zoë");
        assert_eq!(options.locale.unwrap().as_str(), "en");
        assert_eq!(options.metadata.unwrap().get(), r#"{"n":12345678901234567890123}"#);
    }

    #[test]
    fn the_content_type_must_be_json_and_may_have_parameters() {
        let body = r#"{"email":"a"}"#;
        for good in ["application/json", "application/json; charset=utf-8", "Application/JSON ;x=y"]
        {
            assert!(read_json::<Body>(&request(body, Some(good))).is_ok(), "{good}");
        }
        for bad in [None, Some("text/plain"), Some("application/jsonx"), Some("")] {
            assert!(read_json::<Body>(&request(body, bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn bytes_after_the_first_value_are_ignored() {
        let request = request("{\"email\":\"a\"} trailing", Some("application/json"));
        assert!(read_json::<Body>(&request).is_ok());
    }

    #[test]
    fn an_absent_body_is_accepted_only_where_it_is_optional() {
        assert!(read_optional_json::<Body>(&request("", None)).unwrap().is_none());
        assert!(read_json::<Body>(&request("", None)).is_err());
        assert!(read_optional_json::<Body>(&request("{", Some("application/json"))).is_err());
    }

    #[test]
    fn a_long_reason_is_cut() {
        let reason = refusal(&format!(r#"{{"email":"a","{}":1}}"#, "é".repeat(500)));
        assert!(reason.len() < 310, "{}", reason.len());
    }

    #[test]
    fn query_parameters_are_decoded_and_checked() {
        let request = request("", None);
        let query = read_query(&request);
        assert_eq!(query.required("b").unwrap(), "x &y");
        assert_eq!(query.optional("missing").unwrap(), None);
        assert_eq!(query.optional("d").unwrap(), Some(""));
        for refused in ["c", "d", "missing"] {
            let error = query.required(refused).unwrap_err();
            assert!(error.to_string().contains(refused), "{error}");
        }
    }
}
