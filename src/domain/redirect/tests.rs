//! The examples of the reference, with the dangerous ones refused.

use super::*;

fn rules(pattern: &str) -> RedirectRules {
    RedirectRules::new("", &[pattern.to_owned()]).unwrap()
}

/// Pattern, values that it allows, values that it does not.
const EXAMPLES: &[(&str, &[&str], &[&str])] = &[
    (
        "http://localhost:3000",
        &[
            "http://localhost:3000",
            "http://localhost:3000/",
            "http://localhost:3000/subpath",
            "http://localhost:3000?x=1",
            "http://localhost:3000#f",
            "http://localhost:3000/@evil.com",
            "http://localhost:3000//evil.com",
            "HTTP://localhost:3000",
            "http://LOCALHOST:3000",
        ],
        &[
            "https://localhost:3000",
            "http://localhost:4000",
            "http://localhost",
            "http://localhost:30001",
            "http://prefixlocalhost:3000",
            "http://localhost:3000.evil.com",
            "http://localhost:3000@evil.com/",
            "http://user:pw@localhost:3000",
            "http://localhost:3000/a/../../x",
            "http://localhost:3000/.",
            "http://localhost:3000/a/%2E%2e/x",
            "http://localhost:3000/a/.%2e?x=1",
            "//localhost:3000",
            " http://localhost:3000",
            "http://localhost:3000 ",
            "not-a-url",
            "",
            "http://evil.com?http://localhost:3000",
            "http://evil.com#http://localhost:3000/",
            "http://evil.com/http://localhost:3000/",
            "http://localhost:3000/\r\nSet-Cookie: a=b",
            "http://localhost:3000/?x=\n",
        ],
    ),
    (
        "https://example.com",
        &["https://example.com", "https://example.com:443", "https://example.com:443/x"],
        &[
            "https://example.com:8443",
            "https://example.com:80",
            "https://example.com:0443",
            "http://example.com",
            "http://example.com:443",
            "https://example.com.",
            "https://a.example.com",
            "https://user@example.com",
            "https://example.com@evil.com",
            "https://example.com:443@evil.com/",
            "https://example.com.hijack.com",
            "https://example.comhijack.com",
            "https://",
            "https:///example.com",
        ],
    ),
    (
        "https://example.com/app",
        &[
            "https://example.com/app",
            "https://example.com/app/",
            "https://example.com/app/x/y",
            "https://example.com/app?x",
        ],
        &[
            "https://example.com/app/../admin",
            "https://example.com/apple",
            "https://example.com/app.html",
            "https://example.com/App",
            "https://example.com//app",
            "https://example.com/app;x",
            "https://example.com/app%2f..%2f",
        ],
    ),
    (
        "https://example.com/app/",
        &[
            "https://example.com/app",
            "https://example.com/app/",
            "https://example.com/app/x/y",
            "https://example.com/app?x",
        ],
        &[
            "https://example.com/app/../admin",
            "https://example.com/apple",
            "https://example.com/app.html",
            "https://example.com/App",
            "https://example.com//app",
            "https://example.com/app;x",
            "https://example.com/app%2f..%2f",
        ],
    ),
    (
        "https://example.com/app/*",
        &[
            "https://example.com/app",
            "https://example.com/app/",
            "https://example.com/app/x/y",
            "https://example.com/app?x",
        ],
        &[
            "https://example.com/app/../admin",
            "https://example.com/apple",
            "https://example.com/app.html",
            "https://example.com/App",
            "https://example.com//app",
            "https://example.com/app;x",
            "https://example.com/app%2f..%2f",
        ],
    ),
    (
        "https://example.com/app*",
        &["https://example.com/app", "https://example.com/apple", "https://example.com/apple/x"],
        &["https://example.com/app.html", "https://example.com/"],
    ),
    (
        "https://*.example.com",
        &[
            "https://a.example.com",
            "https://a-b.example.com/x",
            "https://a.example.com:443",
            "https://.example.com",
        ],
        &[
            "https://a.b.example.com",
            "https://example.com",
            "https://a.example.com:8443",
            "https://evil.com/a.example.com",
            "https://x@a.example.com",
            "https://a:b@c.example.com",
            "https://evil\\.example.com",
        ],
    ),
    ("https://*-sub.acme.io", &["https://anything-sub.acme.io"], &["https://a.b-sub.acme.io"]),
    ("https://*.example.com:3000", &["https://a.example.com:3000"], &["https://a.example.com"]),
    (
        "https://**.example.com",
        &["https://a.b.example.com"],
        &["https://evil.com/.example.com", "https://evil.com/x.example.com/"],
    ),
    (
        "https://example.com*",
        &["https://example.com", "https://example.community"],
        &[
            "https://example.com:8443",
            "https://example.com@evil",
            "https://example.com.evil.com",
            "https://example.com@evil.com",
            "https://example.com\u{3002}evil",
        ],
    ),
    (
        "http://localhost:*",
        &["http://localhost:3000", "http://localhost:3000/x", "http://localhost:"],
        &["http://localhost:x@evil", "http://localhost"],
    ),
    (
        "https://pr-?.example.com",
        &["https://pr-1.example.com"],
        &["https://pr-12.example.com", "https://pr-.example.com"],
    ),
    ("https://pr-[0-9].example.com", &["https://pr-1.example.com"], &["https://pr-a.example.com"]),
    ("https://pr-[!0-9].example.com", &["https://pr-a.example.com"], &["https://pr-1.example.com"]),
    (
        "https://{a,b}.example.com",
        &["https://a.example.com", "https://b.example.com/x"],
        &["https://c.example.com"],
    ),
    (
        "http{s,}://{a,{b,c}}.io",
        &["https://a.io", "http://b.io", "http://c.io:80"],
        &["ftp://a.io", "https://d.io"],
    ),
    (
        "exp://192.168.1.*:8081",
        &["exp://192.168.1.20:8081", "exp://192.168.1.20:8081/--/x"],
        &["exp://192.168.1.20", "exp://192.168.1.2.3:8081"],
    ),
    (
        "myapp://my.app",
        &["myapp://my.app", "myapp://my.app/", "myapp://my.app/subpath"],
        &["myapp://my.app:80"],
    ),
    (
        "myapp://",
        &["myapp://", "myapp://my.app", "myapp://a:80/b?c"],
        &["myapp:", "https://my.app"],
    ),
    (
        "myapp://*",
        &["myapp://", "myapp://my.app", "myapp://a:80/b?c"],
        &["myapp:", "https://my.app"],
    ),
    (
        "http://[::1]:3000",
        &["http://[::1]:3000", "http://[::1]:3000/x"],
        &["http://1:3000", "http://[::2]:3000", "http://[::1]"],
    ),
    (
        "https://example.com?x=1",
        &["https://example.com?x=1", "https://example.com", "https://example.com/a?y"],
        &["https://example.community"],
    ),
    (
        "https://pr-?.example.com/cb?next=/home",
        &["https://pr-1.example.com/cb", "https://pr-1.example.com/cb?next=/x"],
        &["https://pr-1.example.com/c", "https://pr-12.example.com/cb"],
    ),
    (
        "https://spa.example.com/#/",
        &["https://spa.example.com/#/", "https://spa.example.com/#/cb", "https://spa.example.com"],
        &["https://spa.example.net/#/"],
    ),
    (
        "https://example.com/app#/cb",
        &["https://example.com/app#/cb", "https://example.com/app/x"],
        &["https://example.com/", "https://example.com/apple#/cb"],
    ),
    (
        "com.example.app:/oauth2redirect",
        &[
            "com.example.app:/oauth2redirect",
            "COM.example.app:/oauth2redirect/provider?code=x#y",
            "com.example.app:/oauth2redirect/",
        ],
        &[
            "com.example.app:/other",
            "com.example.app:oauth2redirect",
            "com.example.app://oauth2redirect",
            "com.example.app:///oauth2redirect",
            "com.example.apple:/oauth2redirect",
            "com.example.app:/oauth2redirect/../x",
            "com.example.app:/\\evil.com",
            "https:/oauth2redirect",
        ],
    ),
    ("com.example.app:/", &["com.example.app:/", "com.example.app:/a/b"], &["com.example.app:"]),
    (
        "**://app.example.com",
        &["https://app.example.com", "myapp://app.example.com"],
        &[
            "https:/evil.test://app.example.com",
            "https:evil.test://app.example.com",
            "://app.example.com",
        ],
    ),
    ("https:/example.com", &[], &["https:/example.com", "https://example.com"]),
    ("javascript:/x", &[], &["javascript:/x", "javascript:/x/alert(1)"]),
    ("example.com", &["example.com", "example.com/x"], &["https://example.com"]),
    ("*", &["a", "a/b"], &["a.b", "https://example.com", "javascript:x"]),
    ("**", &["a", "a.b/c"], &["https://example.com", "//evil.com", "javascript:alert(1)"]),
    (
        "https://**",
        &["https://example.com", "https://a.b/c", "https://a:443"],
        &["https://user@a", "http://a", "https://a:8443", "https://a\\b"],
    ),
    (
        "https://acme.com/path",
        &["https://acme.com:443/path", "https://acme.com/path/a"],
        &["https://acme.com/wrongpath"],
    ),
    (
        "https://acme.com:443",
        &["https://acme.com", "https://acme.com:443/a"],
        &["https://acme.com:80"],
    ),
];

#[test]
fn every_example_is_decided_as_specified() {
    for (pattern, allowed, denied) in EXAMPLES {
        let rules = rules(pattern);
        for value in *allowed {
            assert!(rules.is_allowed(value), "{pattern} should allow {value:?}");
        }
        for value in *denied {
            assert!(!rules.is_allowed(value), "{pattern} should refuse {value:?}");
        }
    }
}

#[test]
fn without_a_client_url_only_the_list_counts() {
    let closed = rules("");
    for value in ["", "/", "/x", "//evil.com", "https://example.com"] {
        assert!(!closed.is_allowed(value), "{value:?}");
    }
    let listed = RedirectRules::new("", &["https://a.io".to_owned(), String::new()]).unwrap();
    assert!(listed.is_allowed("https://a.io/x"));
    assert!(!listed.is_allowed("/x"));
}

#[test]
fn the_client_url_is_the_default_and_allowed() {
    let rules = RedirectRules::new("http://a.io", &["http://b.io".to_owned()]).unwrap();
    assert_eq!(rules.choose(None).unwrap(), "http://a.io");
    assert_eq!(rules.choose(Some("http://b.io/x")).unwrap(), "http://b.io/x");
    assert_eq!(rules.choose(Some("http://c.io")), Err(ErrorCode::RedirectToNotAllowed));
    assert_eq!(rules.choose(Some("")), Err(ErrorCode::RedirectToNotAllowed));
}

#[test]
fn a_broken_pattern_is_named() {
    for pattern in
        ["https://[a", "https://{a,b.io", "https://a}.io", "https://a\\", "https://[z-a].io"]
    {
        let error = RedirectRules::new("https://a.io", &[pattern.to_owned()]).unwrap_err();
        assert!(error.to_string().contains(pattern), "{error}");
    }
    let many = "{a,b,c,d}".repeat(8);
    assert!(RedirectRules::new(&format!("https://{many}.io"), &[]).is_err());
}

#[test]
fn a_host_is_what_browsers_read() {
    for (target, host) in [
        ("https://App.example.com:8443/you-won?claim=now", "app.example.com"),
        ("https://ex\u{e4}mple.com/\u{17e}", "xn--exmple-cua.com"),
        ("http://[::1]:3000", "[::1]"),
        ("myapp://home/x", "home"),
        ("myapp://", "myapp"),
        ("example.com/x?y", "example.com"),
        ("", ""),
    ] {
        assert_eq!(host_of(target), host, "{target}");
    }
}

#[test]
fn targets_outside_ascii_are_allowed_where_there_is_one_reading_of_them() {
    let allowed = rules("https://ex\u{e4}mple.com");
    for value in [
        "https://ex\u{e4}mple.com/\u{17e}",
        "https://xn--exmple-cua.com",
        "https://EX\u{c4}MPLE.com",
    ] {
        assert!(allowed.is_allowed(value), "{value}");
    }
    assert!(!rules("myapp://h\u{f4}te").is_allowed("myapp://h\u{f4}te"), "who would read it how?");
    assert!(rules("myapp://home").is_allowed("myapp://home/\u{17e}"));
    assert!(!rules("example.com").is_allowed("example.com/\u{17e}"), "no absolute address");
}

#[test]
fn query_parameters_are_set_and_sorted() {
    let invalid = [("error", "invalid-ticket"), ("errorDescription", "Invalid ticket")];
    for (url, expected) in [
        (
            "http://localhost:3000",
            "http://localhost:3000?error=invalid-ticket&errorDescription=Invalid+ticket",
        ),
        (
            "http://localhost:3000/x?a=b&c=d#frag",
            "http://localhost:3000/x?a=b&c=d&error=invalid-ticket&errorDescription=Invalid+ticket#frag",
        ),
        (
            "http://localhost:3000/?z=1&a=%20&error=old",
            "http://localhost:3000/?a=+&error=invalid-ticket&errorDescription=Invalid+ticket&z=1",
        ),
    ] {
        assert_eq!(with_query(url, &invalid), expected);
    }
}

#[test]
fn the_whole_query_is_encoded_again() {
    assert_eq!(
        with_query("http://a.io?novalue&b=1;2&&bad=%zz&k=~*%c3%a9%3B", &[]),
        "http://a.io?k=~%2A%C3%A9%3B&novalue="
    );
    let text = "The value of \"options.redirectTo\" is not allowed.";
    assert_eq!(
        with_query("http://a.io", &[("d", text)]),
        "http://a.io?d=The+value+of+%22options.redirectTo%22+is+not+allowed."
    );
    assert_eq!(with_query("http://a.io?#f", &[]), "http://a.io#f");
}

#[test]
fn the_client_url_itself_is_always_allowed() {
    for client_url in [
        "http://localhost:5000/#/",
        "https://app.example.com/start?from=mail#top",
        "https://app.example.com/?x",
        "com.example.app:/cb",
        "myapp://",
    ] {
        assert!(is_target(client_url), "{client_url}");
        let rules = RedirectRules::new(client_url, &[]).unwrap();
        let chosen = rules.choose(None).unwrap();
        assert_eq!(chosen, client_url);
        assert!(rules.is_allowed(&chosen), "{client_url}");
    }
    let rules = RedirectRules::new("http://localhost:5000/#/", &[]).unwrap();
    assert!(rules.is_allowed("http://localhost:5000/#/elsewhere"));
    assert!(!RedirectRules::new("https://a.io/p?x", &[]).unwrap().is_allowed("https://a.io/pyx"));
}

#[test]
fn nobody_can_be_sent_to_what_is_no_address() {
    for text in [
        "",
        "app.example.com",
        "/start",
        "//app.example.com",
        "javascript:alert(1)",
        "javascript:/alert(1)",
        "https:/app.example.com",
        "https://a b",
        "https://user@app.example.com",
        "https://",
        "mailto:ann@example.com",
    ] {
        assert!(!is_target(text), "{text}");
    }
}
