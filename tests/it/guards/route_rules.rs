//! The rules that routes are mounted with: limits, Turnstile, and the chapter of the contract.

use keywright::config::{Config, Sources};
use keywright::http::message::route::Limit::{
    BruteForce, Email, Providers, SignUps, Sms, VerificationEmail,
};
use keywright::http::message::route::{BodySize, Limit, Turnstile};
use keywright::http::pipeline::router::RouteInfo;
use keywright::http::routes;
use serde_json::Value;

/// Members of requests that can be guessed, and so must not be tried without a limit.
const SECRETS: [&str; 12] = [
    "password",
    "newPassword",
    "otp",
    "code",
    "ticket",
    "codeVerifier",
    "personalAccessToken",
    "idToken",
    "credential",
    "token",
    "refreshToken",
    "connect",
];

/// Routes that take one of [`SECRETS`] and have no limit of their own, and why that is right.
const UNLIMITED: [(&str, &str); 6] = [
    ("POST /token", "122 random bits, and the most frequent request of all"),
    ("POST /signout", "122 random bits; ends a session and tells nothing"),
    ("GET /signin/provider/{provider}/callback", "the state cannot be guessed and is good once"),
    ("POST /signin/provider/{provider}/callback", "the state cannot be guessed and is good once"),
    ("POST /token/provider/{provider}", "the provider judges its own token, for a bearer only"),
    ("GET /signin/provider/{provider}", "the token of `connect` is signed; starts are limited"),
];

/// Every route, with all that settings can add.
fn table() -> Vec<RouteInfo> {
    let secret = r#"{"type":"HS256","key":"0123456789abcdef0123456789abcdef"}"#;
    let sources = Sources::from_env([
        ("HASURA_GRAPHQL_JWT_SECRET", secret),
        ("AUTH_ENABLE_CHANGE_ENV", "true"),
        ("AUTH_MAIL_CAPTURE_FOLDER", "/nowhere"),
        ("AUTH_DEV_ROUTES", "true"),
        ("AUTH_VERIFY_LINK", "confirm"),
    ]);
    let config = Config::from_sources(&sources).unwrap().config;
    routes::router(&config.server, &config.mail.transport).unwrap().routes().to_vec()
}

fn contract() -> Value {
    serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap()
}

fn name(route: &RouteInfo) -> String {
    format!("{} {}", route.method, route.path)
}

#[test]
fn every_route_has_the_limits_of_the_reference_or_closer_ones() {
    let table = table();
    let expected: &[(&str, &[Limit])] = &[
        ("GET /healthz", &[]),
        ("POST /token", &[]),
        ("POST /token/verify", &[BruteForce]),
        ("GET /verify", &[BruteForce]),
        ("POST /verify", &[BruteForce]),
        ("POST /signin/email-password", &[BruteForce]),
        ("POST /signin/mfa/totp", &[BruteForce]),
        ("POST /signin/pat", &[BruteForce]),
        ("POST /signin/passwordless/email", &[Email, BruteForce]),
        ("POST /signin/otp/email", &[Email, BruteForce]),
        ("POST /signin/otp/email/verify", &[BruteForce]),
        ("POST /signin/passwordless/sms", &[Sms, BruteForce]),
        ("POST /signin/passwordless/sms/otp", &[BruteForce]),
        ("POST /user/email/change", &[Email]),
        ("POST /user/password/reset", &[Email]),
        ("POST /user/email/send-verification-email", &[VerificationEmail]),
        ("POST /user/deanonymize", &[VerificationEmail, BruteForce]),
        ("POST /signup/email-password", &[VerificationEmail, SignUps]),
        ("POST /signup/webauthn", &[SignUps]),
        ("POST /signup/webauthn/verify", &[BruteForce, SignUps]),
        ("GET /signin/provider/{provider}", &[Providers]),
        ("GET /signup/provider/{provider}", &[Providers]),
        ("POST /link/provider/{provider}", &[Providers]),
        ("GET /signin/provider/{provider}/callback", &[]),
        ("POST /signin/idtoken", &[BruteForce]),
        ("POST /signup/idtoken", &[SignUps]),
        ("POST /token/exchange", &[BruteForce]),
        ("POST /user/password", &[BruteForce]),
        ("POST /user/mfa", &[BruteForce]),
        ("POST /link/idtoken", &[BruteForce]),
    ];
    for (route, limits) in expected {
        let found = table.iter().find(|info| name(info) == *route);
        let found = found.unwrap_or_else(|| panic!("{route} is not mounted"));
        assert_eq!(found.rules.limits.all(), *limits, "{route}");
    }
    // The first that refuses ends the matter, so their order is part of what clients see.
    for route in &table {
        assert!(route.rules.limits.all().is_sorted(), "{}", name(route));
    }
}

#[test]
fn no_route_that_sends_something_or_takes_a_secret_is_unlimited() {
    let contract = contract();
    let table = table();
    let mut looked_at = 0;
    for route in &table {
        let route_name = name(route);
        let method = route.method.as_str().to_lowercase();
        let operation = &contract["paths"][&route.path][&method];
        if operation.is_null() {
            // Beside the contract: health and development.
            assert!(
                ["/healthz", "/livez", "/change-env", "/dev/"]
                    .iter()
                    .any(|beginning| route.path.starts_with(beginning)),
                "{route_name} is not in docs/openapi.json"
            );
            continue;
        }
        let taken = members(&contract, operation);
        let limits = route.rules.limits.all();
        let has = |wanted: &[Limit]| wanted.iter().any(|limit| limits.contains(limit));
        let sends = |what: &str| taken.iter().any(|member| member == what);
        let secret = taken.iter().find(|member| SECRETS.contains(&member.as_str()));
        if let Some(secret) = secret {
            looked_at += 1;
            let is_exempt = UNLIMITED.iter().any(|(exempt, _)| *exempt == route_name);
            assert!(
                is_exempt || has(&[BruteForce, SignUps]),
                "{route_name} takes {secret} and has no limit"
            );
        }
        // An address or a number without a secret beside it is where something is sent to.
        if secret.is_none() && (sends("email") || sends("newEmail")) {
            looked_at += 1;
            let is_ceremony = route.path.contains("/webauthn");
            assert!(
                is_ceremony || has(&[Email, VerificationEmail]),
                "{route_name} sends mail without a limit"
            );
        }
        if secret.is_none() && sends("phoneNumber") {
            looked_at += 1;
            assert!(has(&[Sms]), "{route_name} sends an SMS without a limit");
        }
    }
    assert!(looked_at > 20, "only {looked_at} routes were looked at");
    for (exempt, why) in UNLIMITED {
        let is_mounted = table.iter().any(|route| name(route) == exempt);
        assert!(is_mounted && !why.is_empty(), "{exempt} is exempt and not there");
    }
}

/// Names of what an operation takes: members of its body, and parameters of its query.
fn members(contract: &Value, operation: &Value) -> Vec<String> {
    let resolve = |value: &Value| match value["$ref"].as_str() {
        Some(reference) => contract.pointer(&reference[1..]).unwrap().clone(),
        None => value.clone(),
    };
    let mut names = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        names.push(resolve(parameter)["name"].as_str().unwrap().to_owned());
    }
    for content in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        let schema = resolve(&content.1["schema"]);
        let parts = ["allOf", "oneOf", "anyOf"].iter().flat_map(|kind| {
            schema[*kind].as_array().into_iter().flatten().map(&resolve).collect::<Vec<_>>()
        });
        for schema in parts.chain([schema.clone()]) {
            names.extend(
                schema["properties"].as_object().into_iter().flatten().map(|p| p.0.clone()),
            );
        }
    }
    names
}

#[test]
fn only_what_tells_of_health_is_outside_every_limit() {
    for route in table() {
        let tells = matches!(route.path.as_str(), "/healthz" | "/livez");
        assert_eq!(route.rules.is_probe, tells, "{}", name(&route));
    }
}

#[test]
fn sign_ups_ask_for_a_person_and_nothing_else_does() {
    for route in table() {
        let asks = route.path.starts_with("/signup/")
            && !route.path.ends_with("/verify")
            && !route.path.ends_with("/callback");
        assert_eq!(route.rules.turnstile == Turnstile::Asked, asks, "{}", name(&route));
    }
}

#[test]
fn a_route_has_the_chapter_of_its_folder_in_the_contract() {
    let contract = contract();
    let tags: Vec<_> =
        contract["tags"].as_array().unwrap().iter().map(|tag| tag["name"].clone()).collect();
    for route in table() {
        let method = route.method.as_str().to_lowercase();
        let operation = &contract["paths"][&route.path][&method];
        if operation.is_null() {
            continue;
        }
        assert_eq!(operation["tags"], serde_json::json!([route.chapter]), "{}", name(&route));
        assert!(tags.contains(&route.chapter.into()), "{} is not listed", route.chapter);
    }
}

#[test]
fn only_routes_that_take_metadata_take_large_bodies() {
    let contract = contract();
    let schemas = &contract["components"]["schemas"];
    let takes_metadata = |route: &RouteInfo| {
        let path = route.path.replace("{{", "{").replace("}}", "}");
        let operation = &contract["paths"][&path][route.method.as_str().to_lowercase()];
        let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let name = body.as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let members = &schemas[name]["properties"];
        let options = members["options"]["$ref"].as_str().unwrap_or_default();
        members["metadata"].is_object() || options.ends_with("/SignUpOptions")
    };
    let mut count = 0;
    for route in table() {
        let expected =
            if takes_metadata(&route) { BodySize::WithMetadata } else { BodySize::Ordinary };
        assert_eq!(route.rules.body, expected, "{}", name(&route));
        count += usize::from(expected == BodySize::WithMetadata);
    }
    assert_eq!(count, 11);
}
