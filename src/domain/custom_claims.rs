//! Custom claims: which there are, and what becomes of the user's data in them.

use std::collections::BTreeMap;

use super::claim_path::{ClaimPath, Evaluation, Selection};
use super::exact_json::ExactJson;

const PREFIX: &str = "x-hasura-";

/// What only the server says about a user.
const RESERVED: &[&str] = &[
    "x-hasura-allowed-roles",
    "x-hasura-role",
    "x-hasura-default-role",
    "x-hasura-user-id",
    "x-hasura-user-is-anonymous",
    "x-hasura-auth-elevated",
];

/// Claims as configured; there is at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomClaims {
    claims: Vec<Claim>,
    selection: Selection,
}

#[derive(Clone, Debug, PartialEq)]
struct Claim {
    name: String,
    path: ClaimPath,
    /// `None`: the claim is left out.
    default: Option<String>,
}

/// What becomes of a claim whose path leads nowhere and that has no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Missing {
    /// The text `null`, as with the reference.
    #[default]
    Null,
    /// The token has no such claim.
    Omit,
}

/// Which path cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path of claim {claim:?}: {reason}")]
pub struct InvalidClaim {
    claim: String,
    reason: String,
}

impl CustomClaims {
    /// Paths and defaults by name; `None` if there are no claims.
    pub fn new(
        paths: &BTreeMap<String, String>,
        defaults: &BTreeMap<String, ExactJson>,
        missing: Missing,
    ) -> Result<Option<Self>, InvalidClaim> {
        let mut selection = Selection::default();
        let mut claims = Vec::with_capacity(paths.len());
        for (name, path) in paths {
            let refused = |reason: String| InvalidClaim { claim: name.clone(), reason };
            let path = ClaimPath::parse(path).map_err(|error| refused(error.to_string()))?;
            selection.add(&path).map_err(|error| refused(error.to_string()))?;
            let default = defaults.get(name).map(encode);
            let default = default.or((missing == Missing::Null).then(|| "null".to_owned()));
            claims.push(Claim { name: name.clone(), path, default });
        }
        Ok((!claims.is_empty()).then_some(Self { claims, selection }))
    }

    /// Configured names that mean a claim of the server's own, whatever their case.
    pub fn reserved_names(&self) -> impl Iterator<Item = &str> {
        let names = self.claims.iter().map(|claim| claim.name.as_str());
        names.filter(|name| is_reserved(&claim_name(name)))
    }

    /// What has to be read of the user.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Names and texts of the claims of this user, whose data is shaped as the selection is.
    pub fn values(&self, user: &ExactJson) -> Vec<(String, String)> {
        let text = |claim: &Claim| match claim.path.evaluate(user) {
            Evaluation::Found(value) => Some(encode(&value)),
            Evaluation::Missing => claim.default.clone(),
        };
        let pair = |claim: &Claim| Some((claim.name.clone(), text(claim)?));
        self.claims.iter().filter_map(pair).collect()
    }
}

/// Whether a claim of this name, as in the token, is the server's alone.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The name in the token. Always in lower case: Hasura does not look at case, so a name that differs
/// in nothing else would be a second value of the same claim.
pub fn claim_name(configured: &str) -> String {
    let mut name = configured.to_lowercase();
    if !name.starts_with(PREFIX) {
        name.insert_str(0, PREFIX);
    }
    name
}

/// A claim is always text: strings are themselves, arrays literals of Postgres, all else is JSON.
fn encode(value: &ExactJson) -> String {
    if let ExactJson::String(text) = value {
        return text.clone();
    }
    let mut text = String::new();
    write_json(value, &mut text);
    if matches!(value, ExactJson::Array(_)) {
        text.replace_range(..1, "{");
        text.replace_range(text.len() - 1.., "}");
    }
    text
}

/// JSON as the reference writes it, for the texts end up in comparisons: members sorted, and what
/// HTML could take for its own escaped. Numbers keep their digits
/// (docs/reference-behaviour.md#numbers-in-claims-keep-their-digits).
fn write_json(value: &ExactJson, text: &mut String) {
    match value {
        ExactJson::Null => text.push_str("null"),
        ExactJson::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        ExactJson::Number(number) => text.push_str(&number.text()),
        ExactJson::String(value) => write_string(value, text),
        ExactJson::Array(array) => {
            text.push('[');
            for (at, element) in array.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_json(element, text);
            }
            text.push(']');
        }
        ExactJson::Object(object) => {
            text.push('{');
            for (at, (name, member)) in object.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_string(name, text);
                text.push(':');
                write_json(member, text);
            }
            text.push('}');
        }
    }
}

fn write_string(value: &str, text: &mut String) {
    let json = serde_json::to_string(value).expect("text can always be written as JSON");
    for character in json.chars() {
        match character {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            _ => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(value: Value) -> BTreeMap<String, ExactJson> {
        match value.into() {
            ExactJson::Object(members) => members,
            other => panic!("{other:?}"),
        }
    }

    /// The claim of this path, with and without a default.
    fn claim(path: &str, user: &Value) -> (String, String) {
        let paths = BTreeMap::from([("c".to_owned(), path.to_owned())]);
        let of = |defaults: Value| {
            let claims = CustomClaims::new(&paths, &object(defaults), Missing::Null);
            claims.unwrap().unwrap().values(&user.clone().into()).remove(0).1
        };
        (of(json!({})), of(json!({"c": "default"})))
    }

    #[test]
    fn claims_have_the_texts_of_the_reference() {
        let two =
            json!([{"id": 1, "type": "x", "name": "c1"}, {"id": 2, "type": "y", "name": "c2"}]);
        for (path, user, text) in [
            ("profile.name", json!({"profile": {"name": "N"}}), "N"),
            ("org.id", json!({"org": {"id": 5}}), "5"),
            ("contacts[].id", json!({"contacts": two}), "{1,2}"),
            ("contacts[*].id", json!({"contacts": two}), "{1,2}"),
            ("contacts[0].name", json!({"contacts": two}), "c1"),
            ("contacts[-1].name", json!({"contacts": two}), "c2"),
            ("contacts[0:1].name", json!({"contacts": two}), "c1"),
            ("contacts[?(@.type == 'x')].name", json!({"contacts": two}), "{\"c1\"}"),
            ("contacts[?(@.id > 1)].name", json!({"contacts": two}), "{\"c2\"}"),
            ("contacts[?(@.type == 'z')].name", json!({"contacts": two}), "{}"),
            ("contacts[?(@.t == 1)].n", json!({"contacts": [{"t": 1, "n": null}]}), "{null}"),
            (
                "orgs[].teams[].id",
                json!({"orgs": [{"teams": [{"id": 1}, {"id": 2}]}, {"teams": [{"id": 3}]}]}),
                "{1,2,3}",
            ),
            (
                "metadata.orgs[].id[]",
                json!({"metadata": {"orgs": [{"id": ["a", "b"]}, {"id": ["c"]}]}}),
                "{[\"a\",\"b\"],[\"c\"]}",
            ),
            (
                "metadata.orgs[].id[]",
                json!({"metadata": {"orgs": [{"id": ["a", "b"]}, {}]}}),
                "{[\"a\",\"b\"],null}",
            ),
            ("metadata.orgs[].id", json!({"metadata": {"orgs": [{"id": "a"}, {}]}}), "{\"a\"}"),
            (
                "metadata.orgs[].id",
                json!({"metadata": {"orgs": [{"id": "a"}, {"id": null}]}}),
                "{\"a\",null}",
            ),
            ("a[].b[].c", json!({"a": [{"b": []}, {"b": [{"c": 1}]}]}), "{}"),
            ("contacts[].id", json!({"contacts": null}), "{}"),
            ("contacts[].id", json!({"contacts": []}), "{}"),
            ("contacts[]", json!({"contacts": []}), "{}"),
            ("a.b", json!({"a": {"b": ""}}), ""),
            ("a.b", json!({"a": {"b": []}}), "{}"),
            ("metadata.list", json!({"metadata": {"list": ["p", "q"]}}), "{\"p\",\"q\"}"),
            ("metadata.n", json!({"metadata": {"n": 1.5}}), "1.5"),
            ("metadata.n", json!({"metadata": {"n": false}}), "false"),
            (
                "metadata.n",
                json!({"metadata": {"n": 12_345_678_901_234_567_u64}}),
                "12345678901234567",
            ),
            (
                "metadata.n",
                json!({"metadata": {"n": 12_345_678_901_234_567_890_u64}}),
                "12345678901234567890",
            ),
            ("metadata.n", json!({"metadata": {"n": 1e21}}), "1e+21"),
            ("metadata.n", json!({"metadata": {"n": -1e-7}}), "-1e-7"),
            ("metadata.n", json!({"metadata": {"n": 0}}), "0"),
            (
                "a.b",
                json!({"a": {"b": {"k": "<&>", "a": "é\""}}}),
                r#"{"a":"é\"","k":"\u003c\u0026\u003e"}"#,
            ),
            ("a.b", json!({"a": {"b": "<&>"}}), "<&>"),
            ("metadata..id", json!({"metadata": {"a": {"id": 7}}}), "7"),
        ] {
            assert_eq!(claim(path, &user), (text.to_owned(), text.to_owned()), "{path} of {user}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_the_default_or_null() {
        for (path, user) in [
            ("contacts[?(@.type == 'x')].name", json!({"contacts": null})),
            ("contacts[]", json!({"contacts": null})),
            ("contacts[5].id", json!({"contacts": [{"id": 1}]})),
            ("contacts[-2].id", json!({"contacts": [{"id": 1}]})),
            ("contacts[0].id", json!({"contacts": null})),
            ("contacts[].id", json!({})),
            ("contacts[].id", json!({"contacts": 5})),
            ("contacts[].id", json!({"contacts": [{}, {}]})),
            ("a.b.c", json!({"a": null})),
            ("a.b.c", json!({"a": {"b": null}})),
            ("a.b", json!({"a": {"b": null}})),
            ("metadata.*", json!({"metadata": {}})),
            ("metadata.list[0:0]", json!({"metadata": {"list": [1]}})),
        ] {
            let expected = ("null".to_owned(), "default".to_owned());
            assert_eq!(claim(path, &user), expected, "{path} of {user}");
        }
    }

    #[test]
    fn what_is_missing_can_be_left_out() {
        let paths = [("a", "a"), ("b", "b"), ("c", "c.d"), ("d", "e")];
        let paths = paths.map(|(name, path)| (name.to_owned(), path.to_owned())).into();
        let defaults = object(json!({"c": "default"}));
        let claims = CustomClaims::new(&paths, &defaults, Missing::Omit).unwrap().unwrap();
        let user = json!({"a": null, "b": "x", "c": {}, "e": [null]});
        let expected = [("b", "x"), ("c", "default"), ("d", "{null}")];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(claims.values(&user.into()), expected);
    }

    #[test]
    fn large_numbers_are_told_apart_by_filters() {
        let user =
            r#"{"teams": [{"id": 9007199254740992, "n": 1}, {"id": 9007199254740993, "n": 2}]}"#;
        let user: ExactJson = serde_json::from_str(user).unwrap();
        let path = "teams[?(@.id == 9007199254740993)].n".to_owned();
        let paths = BTreeMap::from([("c".to_owned(), path)]);
        let claims = CustomClaims::new(&paths, &BTreeMap::new(), Missing::Null);
        assert_eq!(claims.unwrap().unwrap().values(&user)[0].1, "{2}");
    }

    #[test]
    fn defaults_are_written_as_values_are() {
        let paths = BTreeMap::from([("C".to_owned(), "a".to_owned())]);
        for (default, text) in [
            (json!(["x"]), "{\"x\"}"),
            (json!({"d": 1}), "{\"d\":1}"),
            (json!(true), "true"),
            (json!(null), "null"),
            (json!([]), "{}"),
        ] {
            let defaults = json!({"C": default, "c": "of another claim"});
            for missing in [Missing::Null, Missing::Omit] {
                let claims = CustomClaims::new(&paths, &object(defaults.clone()), missing);
                let values = claims.unwrap().unwrap().values(&json!({}).into());
                assert_eq!(values, [("C".to_owned(), text.to_owned())]);
            }
        }
    }
}
