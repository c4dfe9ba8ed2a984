//! What providers say about accounts, and what becomes of it: the conformance vectors.

use serde_json::{Value, json};

use super::state::Account;

/// The avatar that a new user gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Avatar {
    Picture(&'static str),
    /// Of the address.
    Gravatar,
    None,
}

/// One account, and the rows it becomes at the first sign-in.
pub(crate) struct Vector {
    /// What is special about it.
    pub(crate) what: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) account: Account,
    /// `provider_user_id`.
    pub(crate) id: &'static str,
    pub(crate) email: Option<&'static str>,
    /// Whether the provider has verified the address.
    pub(crate) is_verified: bool,
    pub(crate) name: &'static str,
    pub(crate) avatar: Avatar,
}

/// The usual account at a provider.
pub(crate) fn account(provider: &str) -> Account {
    match provider {
        "c:acme" => Account::new(json!({
            "sub": "acme|116", "email": "acme@x.test", "email_verified": true, "name": "Ac Me",
            "picture": "https://a.test/ac.png",
        })),
        provider => {
            usual()
                .into_iter()
                .find(|vector| vector.provider == provider)
                .expect("every provider has one")
                .account
        }
    }
}

/// One for each of the sixteen.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn usual() -> Vec<Vector> {
    let bare = |provider, profile: Value| Vector {
        what: "usual",
        provider,
        account: Account::new(profile),
        id: "",
        email: None,
        is_verified: false,
        name: "",
        avatar: Avatar::Gravatar,
    };
    vec![
        Vector {
            account: Account::new(
                json!({"sub": "001.apple", "email": "apple@x.test", "email_verified": true}),
            )
            .with_user_field(r#"{"name":{"firstName":"Ap","lastName":"Ple"}}"#),
            id: "001.apple",
            email: Some("apple@x.test"),
            is_verified: true,
            name: "Ap Ple",
            ..bare("apple", Value::Null)
        },
        Vector {
            id: "110",
            name: "Az Ure",
            avatar: Avatar::None,
            ..bare("azuread", json!({"oid": "110", "upn": "upn@x.test", "name": "Az Ure"}))
        },
        Vector {
            account: Account::new(json!({
                "uuid": "{108}", "display_name": "Bit B",
                "links": {"avatar": {"href": "https://a.test/bb.png"}},
            }))
            .with_emails(json!({"values": [
                {"email": "un@x.test", "is_confirmed": false},
                {"email": "bb@x.test", "is_confirmed": true},
            ]})),
            id: "{108}",
            email: Some("bb@x.test"),
            is_verified: true,
            name: "Bit B",
            avatar: Avatar::Picture("https://a.test/bb.png"),
            ..bare("bitbucket", Value::Null)
        },
        Vector {
            id: "104",
            email: Some("discord@x.test"),
            name: "dis",
            ..bare(
                "discord",
                json!({
                    "id": "104", "username": "dis", "discriminator": "0",
                    "email": "discord@x.test", "verified": false, "avatar": null,
                }),
            )
        },
        Vector {
            id: "111",
            email: Some("entra@x.test"),
            name: "En Tra",
            ..bare(
                "entraid",
                json!({
                    "sub": "111", "given_name": "En", "family_name": "Tra",
                    "email": "entra@x.test",
                }),
            )
        },
        Vector {
            id: "112",
            email: Some("fb@x.test"),
            name: "Face",
            avatar: Avatar::Picture("https://a.test/fb.png"),
            ..bare(
                "facebook",
                json!({
                    "id": "112", "name": "Face", "email": "fb@x.test",
                    "picture": {"data": {"url": "https://a.test/fb.png"}},
                }),
            )
        },
        Vector {
            account: github(
                &json!("Git Hub"),
                json!([
                    {"email": "gh@x.test", "verified": true, "primary": true},
                ]),
            ),
            id: "101",
            email: Some("gh@x.test"),
            is_verified: true,
            name: "Git Hub",
            avatar: Avatar::Picture("https://a.test/gh.png"),
            ..bare("github", Value::Null)
        },
        Vector {
            id: "107",
            email: Some("gl@x.test"),
            name: "Git Lab",
            avatar: Avatar::Picture("https://a.test/gl.png"),
            ..bare("gitlab", gitlab())
        },
        Vector {
            id: "102",
            email: Some("google@x.test"),
            is_verified: true,
            name: "Goo Gle",
            avatar: Avatar::Picture("https://a.test/g.png"),
            ..bare(
                "google",
                json!({
                    "id": "102", "email": "google@x.test", "verified_email": true,
                    "name": "Goo Gle", "picture": "https://a.test/g.png",
                }),
            )
        },
        Vector {
            id: "103",
            email: Some("li@x.test"),
            name: "Lin Ked",
            avatar: Avatar::Picture("https://a.test/li.png"),
            ..bare("linkedin", linkedin(false))
        },
        Vector {
            id: "105",
            email: Some("sp@x.test"),
            name: "Spo",
            ..bare(
                "spotify",
                json!({"id": "105", "email": "sp@x.test", "display_name": "Spo", "images": []}),
            )
        },
        Vector {
            id: "114",
            name: "Str Ava",
            avatar: Avatar::Picture("https://a.test/s.png"),
            ..bare(
                "strava",
                json!({
                    "id": 114, "firstname": "Str", "lastname": "Ava",
                    "profile_medium": "https://a.test/s.png",
                }),
            )
        },
        Vector {
            id: "106",
            email: Some("twitch@x.test"),
            name: "Twi",
            avatar: Avatar::Picture("https://a.test/t.png"),
            ..bare(
                "twitch",
                json!({"data": [{
                    "id": "106", "display_name": "Twi", "email": "twitch@x.test",
                    "profile_image_url": "https://a.test/t.png",
                }]}),
            )
        },
        Vector {
            id: "115",
            email: Some("tw@x.test"),
            name: "Twit",
            avatar: Avatar::Picture("https://a.test/tw.png"),
            ..bare(
                "twitter",
                json!({
                    "id_str": "115", "screen_name": "tw", "name": "Twit", "email": "tw@x.test",
                    "profile_image_url_https": "https://a.test/tw.png",
                }),
            )
        },
        Vector {
            id: "113",
            email: Some("wl@x.test"),
            name: "Win Live",
            ..bare(
                "windowslive",
                json!({
                    "id": "113", "name": "Win Live", "last_name": "Live",
                    "emails": {"account": "wl@x.test", "preferred": ""},
                }),
            )
        },
        Vector {
            id: "prof_109",
            email: Some("wo@x.test"),
            name: "Work Os",
            ..bare(
                "workos",
                json!({
                    "id": "prof_109", "email": "wo@x.test", "first_name": "Work",
                    "last_name": "Os",
                }),
            )
        },
    ]
}

fn github(name: &Value, emails: Value) -> Account {
    Account::new(json!({
        "id": 101, "login": "gh", "name": name, "avatar_url": "https://a.test/gh.png",
    }))
    .with_emails(emails)
}

fn gitlab() -> Value {
    json!({
        "id": 107, "username": "gl", "name": "Git Lab", "email": "gl@x.test",
        "avatar_url": "https://a.test/gl.png",
    })
}

fn linkedin(verified: bool) -> Value {
    json!({
        "sub": "103", "email": "li@x.test", "email_verified": verified, "given_name": "Lin",
        "family_name": "Ked", "picture": "https://a.test/li.png",
    })
}

/// Accounts that differ from the usual ones in what matters.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn unusual() -> Vec<Vector> {
    let like = |what: &'static str, provider: &'static str| {
        let mut vector = usual().into_iter().find(|one| one.provider == provider).unwrap();
        vector.what = what;
        vector
    };
    let with = |what, provider, changes: Value| {
        let mut vector = like(what, provider);
        for (name, value) in changes.as_object().unwrap() {
            vector.account.profile[name] = value.clone();
        }
        vector
    };
    vec![
        Vector {
            account: github(
                &Value::Null,
                json!([
                    {"email": "a@x.test", "verified": false},
                    {"email": "z@x.test", "verified": true, "primary": true},
                ]),
            ),
            email: Some("z@x.test"),
            name: "gh",
            ..like("no name, primary address is not the first", "github")
        },
        Vector {
            account: github(
                &json!("Git Hub"),
                json!([
                    {"email": "a@x.test", "verified": false, "primary": true},
                    {"email": "b@x.test", "verified": true, "primary": false},
                ]),
            ),
            email: Some("b@x.test"),
            ..like("primary address is not verified", "github")
        },
        Vector {
            account: github(
                &json!("Git Hub"),
                json!([
                    {"email": "a@x.test", "verified": false, "primary": true},
                ]),
            ),
            email: Some("a@x.test"),
            is_verified: false,
            ..like("no address is verified", "github")
        },
        Vector {
            id: "9007199254740993",
            ..with("a number no float holds", "github", json!({"id": 9_007_199_254_740_993_u64}))
        },
        Vector {
            is_verified: true,
            ..with("confirmed", "gitlab", json!({"confirmed_at": "2024-01-01T00:00:00Z"}))
        },
        Vector { is_verified: true, ..with("verified", "discord", json!({"verified": true})) },
        Vector {
            name: "dis#1234",
            avatar: Avatar::Picture("https://cdn.discordapp.com/avatars/104/abc.png"),
            ..with("old names", "discord", json!({"discriminator": "1234", "avatar": "abc"}))
        },
        Vector {
            name: "The Dis",
            ..with("a global name", "discord", json!({"global_name": "The Dis"}))
        },
        Vector {
            is_verified: true,
            ..with("verified", "linkedin", json!({"email_verified": true}))
        },
        Vector {
            is_verified: true,
            ..with("verified", "entraid", json!({"email_verified": true}))
        },
        Vector {
            name: "En Old",
            ..with(
                "old spelling",
                "entraid",
                json!({
                    "given_name": null, "family_name": null, "givenname": "En",
                    "familyname": "Old",
                }),
            )
        },
        Vector {
            email: Some("az@x.test"),
            avatar: Avatar::Gravatar,
            ..with("with an address", "azuread", json!({"email": "az@x.test"}))
        },
        Vector {
            is_verified: false,
            ..with("not verified", "google", json!({"verified_email": false}))
        },
        Vector {
            account: Account::new(json!({
                "sub": "102", "email": "google@x.test", "email_verified": true,
                "name": "Goo Gle", "picture": "https://a.test/g.png",
            })),
            ..like("the newer profile", "google")
        },
        Vector {
            avatar: Avatar::Picture("https://a.test/sp.png"),
            ..with("a picture", "spotify", json!({"images": [{"url": "https://a.test/sp.png"}]}))
        },
        Vector {
            email: Some("wp@x.test"),
            ..with(
                "a preferred address",
                "windowslive",
                json!({"emails": {"account": "wl@x.test", "preferred": "wp@x.test"}}),
            )
        },
        Vector {
            name: "112",
            avatar: Avatar::Gravatar,
            ..with("blank name, no picture", "facebook", json!({"name": "  ", "picture": null}))
        },
        Vector {
            email: None,
            avatar: Avatar::None,
            ..with("no address", "spotify", json!({"email": null}))
        },
        Vector {
            account: Account::new(
                json!({"sub": "001.apple", "email": "apple@x.test", "email_verified": "true"}),
            ),
            name: "apple@x.test",
            ..like("flag as text, not the first time", "apple")
        },
        Vector {
            account: Account::new(
                json!({"sub": "001.apple", "email": "apple@x.test", "email_verified": "false"}),
            )
            .with_user_field("no JSON"),
            is_verified: false,
            name: "apple@x.test",
            ..like("unverified as text, broken name", "apple")
        },
    ]
}
