//! Paths of custom claims: whatever is a path can be followed through any data, and nothing but names
//! of its fields gets into a query.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::json;

use super::Target;
use crate::domain::claim_path::ClaimPath;
use crate::domain::custom_claims::{CustomClaims, Missing};
use crate::domain::exact_json::ExactJson;

pub(super) const TARGET: Target = Target {
    name: "claim_paths",
    run,
    seeds: &[
        b"id",
        b".metadata.a",
        b"metadata..id",
        b"a[].b[*].id[]",
        b"a[-1]",
        b"a[0:4:2]",
        b"a[-9223372036854775808:9223372036854775807:1].id",
        b"a['b'].*",
        b"a[\"b\\\"\"]",
        b"a[?(@.id >= 1.5)].b",
        b"a[?( @.id != 'x' )].b[?(@.id)]",
        "metadata.naïve[?(@.ключ == null)]".as_bytes(),
    ],
};

static USERS: LazyLock<[ExactJson; 4]> = LazyLock::new(|| {
    [
        json!({
            "id": "b00f4b2d", "a": [{"id": 1, "b": [{"id": 2.5}]}, {"id": "x", "b": []}, {}],
            "metadata": {"a": {"id": 9_007_199_254_740_993_u64}, "naïve": [{"ключ": null}, [[]]]},
        }),
        json!({"id": null, "a": null, "metadata": []}),
        json!({"a": {"a": {"a": {"a": [[[1]]]}}}, "id": -0.0}),
        json!([]),
    ]
    .map(Into::into)
});

fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(path) = ClaimPath::parse(text) else { return };
    for user in &*USERS {
        let _ = path.evaluate(user);
    }
    let paths = BTreeMap::from([("c".to_owned(), text.to_owned())]);
    let Ok(Some(claims)) = CustomClaims::new(&paths, &BTreeMap::new(), Missing::Null) else {
        return;
    };
    for user in &*USERS {
        assert_eq!(claims.values(user).len(), 1);
    }
    let query = claims.selection().graphql();
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_ {}".contains(&byte);
    assert!(query.bytes().all(is_safe), "{query:?}");
    let (opened, closed) = (query.matches('{').count(), query.matches('}').count());
    assert_eq!(opened, closed, "{query:?}");
}
