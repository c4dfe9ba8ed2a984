//! Where people may be sent: patterns of operators, and values of anybody. Whatever is allowed leads
//! where browsers read it to lead.

use std::sync::LazyLock;

use url::Url;

use super::Target;
use crate::domain::redirect::{RedirectRules, host_of, is_target, with_query};

pub(super) const TARGET: Target = Target {
    name: "redirects",
    run,
    seeds: &[
        b"https://app.example.com\nhttps://app.example.com/cb?x=1#y",
        b"https://*.example.com\nhttps://a.example.com:443/",
        b"https://*.example.com\nhttps://evil.test\\@a.example.com/",
        b"https://{a,b}.example.com/**\nhttps://b.example.com/x/y",
        b"http{s,}://pr-[0-9].example.com:*\nhttp://pr-1.example.com:3000",
        b"https://spa.example.com/#/\nhttps://spa.example.com/#/cb",
        b"https://example.com?next=/x\nhttps://example.com?y",
        b"com.example.app:/cb\ncom.example.app:/cb/x?code=1",
        b"myapp://\nmyapp://home",
        b"**\njavascript:alert(1)",
        "https://ex\u{e4}mple.com\nhttps://EX\u{c4}MPLE.com/\u{17e}".as_bytes(),
        b"http://[::1]:3000\nhttp://[0:0:0:0:0:0:0:1]:3000",
    ],
};

/// Rules of which it is known whom they let in.
static KNOWN: LazyLock<RedirectRules> = LazyLock::new(|| {
    let list = ["https://*.example.com", "com.example.app:/cb", "myapp://home"];
    RedirectRules::new("https://app.example.com/start#/", &list.map(ToOwned::to_owned))
        .expect("good patterns")
});

fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let (pattern, value) = text.split_once('\n').unwrap_or((text, text));
    if KNOWN.is_allowed(value) {
        assert_is_known(value);
    }
    if let Ok(rules) = RedirectRules::new("", &[pattern.to_owned()])
        && rules.is_allowed(value)
    {
        assert_is_read_one_way(value);
    }
    assert!(!is_target(value) || Url::parse(value).is_ok(), "{value:?}");
    let _ = host_of(value);
    let told = with_query(value, &[("error", "a b&c")]);
    assert!(told.contains("error=a+b%26c"), "{told:?}");
    assert_eq!(told.split_once('#').map(|(_, rest)| rest), value.split_once('#').map(|(_, r)| r));
}

fn assert_is_known(value: &str) {
    assert_is_read_one_way(value);
    let url = Url::parse(value).expect("all of them have a scheme");
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => {
            let is_below = host.strip_suffix(".example.com").is_some_and(|label| {
                // The empty label is the pattern's affair, and leads to no name that there is.
                !label.contains('.')
            });
            assert!(is_below && url.port().is_none(), "{value:?} leads to {host}");
        }
        "com.example.app" => assert!(url.path().starts_with("/cb"), "{value:?}"),
        "myapp" => assert!(host.eq_ignore_ascii_case("home"), "{value:?}"),
        other => panic!("{value:?} has the scheme {other}"),
    }
}

/// Nothing that browsers read otherwise than the rules do.
fn assert_is_read_one_way(value: &str) {
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    assert!(!value.contains(is_odd), "{value:?}");
    let Ok(url) = Url::parse(value) else { return };
    if matches!(url.scheme(), "http" | "https") {
        assert!(url.username().is_empty() && url.password().is_none(), "{value:?}");
        assert!(value.get(..url.scheme().len() + 3).is_some_and(|start| start.ends_with("://")));
    }
    assert!(!matches!(url.scheme(), "javascript" | "data" | "vbscript"), "{value:?}");
}
