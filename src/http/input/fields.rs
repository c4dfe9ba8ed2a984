//! Fields of request bodies that check the contract's limits while they are read.
//!
//! The texts of the errors never quote the value: some of these fields are secrets.

use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;

use regex::Regex;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::domain::error::AuthError;
use crate::domain::metadata::Metadata;
use crate::tokens::refresh_token::RefreshToken;

/// Longest display name, as the contract has it where it names a limit.
const MAX_NAME_CHARACTERS: usize = 32;

/// Longest name of a security key.
const MAX_NICKNAME_BYTES: usize = 255;

/// For optional fields: absent is `None`, an explicit `null` is refused.
///
/// `#[serde(default, deserialize_with = "not_null")] options: Option<Options>`
pub fn not_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// The same for members that are objects.
pub fn not_null_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Object::deserialize(deserializer).map(|Object(value)| Some(value))
}

/// A JSON object. A derived `Deserialize` alone would take an array of the members' values too.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// A password of 3 to 50 code points.
///
/// The configured minimum and the hash functions' maximum count bytes and are checked where the
/// password is hashed.
#[derive(Clone, Debug)]
pub struct PasswordField(SecretString);

impl PasswordField {
    /// The password itself.
    pub fn into_secret(self) -> SecretString {
        self.0
    }
}

impl<'de> Deserialize<'de> for PasswordField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = SecretString::from(deserializer.deserialize_any(SecretText)?);
        let length = secrecy::ExposeSecret::expose_secret(&text).chars().count();
        if (3..=50).contains(&length) {
            Ok(Self(text))
        } else {
            Err(D::Error::custom("a password has 3 to 50 characters"))
        }
    }
}

/// A display name: 1 to 32 letters, numbers, symbols, spaces and `,.'-`, with what belongs to them in
/// the scripts of the world, of which one at least can be seen.
///
/// Marks above and below letters, joiners between them, selectors of variants, apostrophes and dashes
/// as typed by phones, and the dots within Catalan and Japanese names: more than the contract's
/// pattern has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// The name as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as typed.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<'de> Deserialize<'de> for DisplayName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(concat!(
                r"^[\p{L}\p{M}\p{N}\p{S} ,.'\-\x{200c}\x{200d}\x{2018}\x{2019}\x{2010}-\x{2015}",
                r"\x{b7}\x{2027}\x{30fb}\x{5f3}\x{5f4}\x{a0}\x{3000}]{1,32}$"
            ))
            .expect("a constant that a test compiles")
        });
        static VISIBLE: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"[\p{L}\p{N}\p{S}]").expect("a constant that a test compiles")
        });
        let text = String::deserialize(deserializer)?;
        if PATTERN.is_match(&text) && VISIBLE.is_match(&text) {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(
                "a display name has 1 to 32 letters, numbers, symbols, spaces and ,.'-",
            ))
        }
    }
}

/// A locale of exactly two code points; whether it is an allowed one is decided later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocaleField(String);

impl LocaleField {
    /// The locale as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The locale as typed.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<'de> Deserialize<'de> for LocaleField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.chars().count() == 2 {
            Ok(Self(text))
        } else {
            Err(D::Error::custom("a locale has exactly two characters"))
        }
    }
}

/// A refresh token or a personal access token: a UUID in lower case, nothing around it.
///
/// The contract's pattern is not anchored, so it also lets text around a UUID pass; no stored
/// token can match such a value, and refusing it here saves the lookup.
#[derive(Clone, Debug)]
pub struct TokenField(RefreshToken);

impl TokenField {
    /// The token.
    pub fn into_token(self) -> RefreshToken {
        self.0
    }
}

impl<'de> Deserialize<'de> for TokenField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(SecretText)?;
        RefreshToken::parse(&text)
            .map(Self)
            .map_err(|_invalid| D::Error::custom("a token is a UUID in lower case"))
    }
}

/// A ticket that asks for the second factor: `mfaTotp:` and text that the database can hold.
#[derive(Clone)]
pub struct MfaTicketField(SecretString);

impl MfaTicketField {
    /// The whole ticket.
    pub fn as_str(&self) -> &str {
        self.0.expose_secret()
    }
}

impl<'de> Deserialize<'de> for MfaTicketField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ticket_beginning_with("mfaTotp:", deserializer).map(Self)
    }
}

/// A ticket that allows to set a new password.
#[derive(Clone, Debug)]
pub struct ResetTicketField(SecretString);

impl ResetTicketField {
    /// The whole ticket.
    pub fn as_str(&self) -> &str {
        self.0.expose_secret()
    }
}

impl<'de> Deserialize<'de> for ResetTicketField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ticket_beginning_with("passwordReset:", deserializer).map(Self)
    }
}

fn ticket_beginning_with<'de, D: Deserializer<'de>>(
    prefix: &str,
    deserializer: D,
) -> Result<SecretString, D::Error> {
    let text = SecretString::from(deserializer.deserialize_any(SecretText)?);
    let exposed = text.expose_secret();
    if exposed.starts_with(prefix) && !exposed.contains('\0') {
        Ok(text)
    } else {
        Err(D::Error::custom(format_args!("a ticket for this begins with {prefix}")))
    }
}

/// A point in time with its zone (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTimeField(OffsetDateTime);

impl DateTimeField {
    /// The same time in UTC.
    pub const fn utc(self) -> OffsetDateTime {
        self.0
    }
}

impl<'de> Deserialize<'de> for DateTimeField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339)
            .ok()
            // The last hours of the year 9999 in the west are past what UTC can name.
            .and_then(|time| time.checked_to_offset(UtcOffset::UTC))
            .map(Self)
            .ok_or_else(|| D::Error::custom("a time has the form 2030-01-31T23:59:59Z"))
    }
}

/// Any text that the database can hold (no NUL character).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextField(String);

impl TextField {
    /// The text as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as typed.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<'de> Deserialize<'de> for TextField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains('\0') {
            return Err(D::Error::custom("the text has a NUL character"));
        }
        Ok(Self(text))
    }
}

/// The name of an anonymous user: as long as other display names, of any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnonymousName(TextField);

impl AnonymousName {
    /// The name as typed.
    pub fn into_string(self) -> String {
        self.0.into_string()
    }
}

impl<'de> Deserialize<'de> for AnonymousName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = TextField::deserialize(deserializer)?;
        if text.as_str().chars().count() <= MAX_NAME_CHARACTERS {
            Ok(Self(text))
        } else {
            Err(D::Error::custom("a display name has at most 32 characters"))
        }
    }
}

/// A name for which the contract has no limit: at most 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicknameField(TextField);

impl NicknameField {
    /// The name as typed.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<'de> Deserialize<'de> for NicknameField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = TextField::deserialize(deserializer)?;
        if text.as_str().len() <= MAX_NICKNAME_BYTES {
            Ok(Self(text))
        } else {
            Err(D::Error::custom("a nickname has at most 255 bytes"))
        }
    }
}

/// A JSON object as the client wrote it, of which `jsonb` will take every part: no NUL character
/// in a string, no deeper than the parser's limit.
#[derive(Clone, Debug)]
pub struct MetadataField(Box<RawValue>);

impl MetadataField {
    /// The object's text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The object, if it takes no more than `max_bytes` (`AUTH_METADATA_MAX_BYTES`); `place` is
    /// where the client has put it.
    pub fn within(self, max_bytes: usize, place: &str) -> Result<Metadata, AuthError> {
        Metadata::within(self.0, max_bytes).ok_or_else(|| {
            AuthError::InvalidRequest(format!(
                "{place}: metadata has at most {max_bytes} bytes as it is stored"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for MetadataField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Err(D::Error::custom("metadata is a JSON object"));
        }
        match serde_json::from_str::<Storable>(raw.get()) {
            Ok(Storable) => Ok(Self(raw)),
            Err(_) => Err(D::Error::custom("metadata has parts that cannot be stored")),
        }
    }
}

/// Any JSON value that `jsonb` accepts; keeps nothing.
struct Storable;

impl<'de> Deserialize<'de> for Storable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Storable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self, E> {
        if text.contains('\0') { Err(E::custom("a NUL character")) } else { Ok(self) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// Reads a string; a value of another type is refused without being quoted.
struct SecretText;

impl Visitor<'_> for SecretText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<String, E> {
        Err(E::custom("expected a string"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<String, E> {
        Err(E::custom("expected a string"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<String, E> {
        Err(E::custom("expected a string"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_str, json, to_string};

    use crate::http::input::fields::*;

    fn accepts<T: for<'de> Deserialize<'de>>(text: &str) -> bool {
        from_str::<T>(&to_string(text).unwrap()).is_ok()
    }

    #[test]
    fn passwords_are_counted_in_code_points() {
        assert!(accepts::<PasswordField>("äöü"));
        assert!(accepts::<PasswordField>(&"ä".repeat(50)));
        assert!(!accepts::<PasswordField>("ab"));
        assert!(!accepts::<PasswordField>(&"a".repeat(51)));
        let field: PasswordField = from_str("\"hunter2\"").unwrap();
        assert!(!format!("{field:?}").contains("hunter2"));
        assert_eq!(field.into_secret().expose_secret(), "hunter2");
    }

    #[test]
    fn a_password_of_a_wrong_type_is_not_quoted() {
        let error = from_str::<PasswordField>("123456").unwrap_err().to_string();
        assert!(!error.contains("123456"), "{error}");
    }

    #[test]
    fn display_names_follow_the_pattern_and_the_limit() {
        for good in [
            "a",
            "John Smith",
            "O'Neil, J. Jr-2",
            "<=+>",
            "名前",
            &"é".repeat(32),
            "O\u{2019}Brien",
            "हिन्दी",
            "Zoe\u{308}",
            "नि\u{200d}शा",
            "می\u{200c}خواهم",
            "葛\u{e0100}城",
            "\u{2764}\u{fe0f}",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "Col\u{b7}lega",
            "ジョン\u{30fb}スミス",
            "Smith\u{2013}Jones",
            "山田\u{3000}太郎",
        ] {
            assert!(accepts::<DisplayName>(good), "{good}");
        }
        for bad in [" ", "\u{a0}\u{3000}", "\u{200d}", "\u{301}", "-'", "a\u{202e}b", "a\u{200b}"] {
            assert!(!accepts::<DisplayName>(bad), "{bad:?}");
        }
        for bad in ["", "a&b", "a/b", "a:b", "a\nb", "a\n", "a\0", "a_b", &"a".repeat(33)] {
            assert!(!accepts::<DisplayName>(bad), "{bad:?}");
        }
    }

    #[test]
    fn locales_have_two_code_points() {
        assert!(accepts::<LocaleField>("en") && accepts::<LocaleField>("éé"));
        assert!(!accepts::<LocaleField>("e") && !accepts::<LocaleField>("eng"));
    }

    #[test]
    fn refresh_tokens_are_exact_lower_case_uuids() {
        let token = "2c35b6f3-c4b9-48e3-978a-d4d0f1d42e24";
        assert!(accepts::<TokenField>(token));
        for bad in [
            &token.to_uppercase(),
            &token.replace('-', ""),
            &format!("x {token}"),
            &format!("{token} "),
            "",
            "2c35b6f3-c4b9-48e3-978a-d4d0f1d42e2g",
            "2c35b6f3ac4b9-48e3-978a-d4d0f1d42e24",
        ] {
            assert!(!accepts::<TokenField>(bad), "{bad}");
        }
    }

    #[test]
    fn times_need_a_zone() {
        for good in
            ["2030-01-31T23:59:59Z", "9999-12-31T23:59:59Z", "2030-01-31T23:59:59.123456789+02:00"]
        {
            assert!(accepts::<DateTimeField>(good), "{good}");
        }
        for bad in
            ["2030-01-31T23:59:59", "2030-01-31", "", "9999-12-31T23:59:59-01:00", "tomorrow"]
        {
            assert!(!accepts::<DateTimeField>(bad), "{bad}");
        }
    }

    #[test]
    fn tickets_of_a_second_factor_have_their_prefix() {
        assert!(accepts::<MfaTicketField>("mfaTotp:") && accepts::<MfaTicketField>("mfaTotp:x"));
        for bad in ["", "mfaTotp", "verifyEmail:x", " mfaTotp:x", "mfaTotp:\0"] {
            assert!(!accepts::<MfaTicketField>(bad), "{bad:?}");
        }
    }

    #[test]
    fn metadata_is_an_object_that_the_database_can_hold() {
        let good = r#"{"a":[1,2.5,null,true,{"b":"c"}],"n":12345678901234567890123}"#;
        assert_eq!(from_str::<MetadataField>(good).unwrap().get(), good);
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for bad in
            ["[]", "1", "null", r#"{"a":"\u0000"}"#, r#"{"\u0000":1}"#, r#"{"a":"\ud800"}"#, &deep]
        {
            assert!(from_str::<MetadataField>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_without_a_limit_in_the_contract_have_one_all_the_same() {
        assert!(accepts::<AnonymousName>("") && accepts::<AnonymousName>(&"&".repeat(32)));
        assert!(accepts::<AnonymousName>(&"é".repeat(32)));
        assert!(!accepts::<AnonymousName>(&"a".repeat(33)) && !accepts::<AnonymousName>("a\0"));
        assert!(accepts::<NicknameField>(&"a".repeat(255)));
        assert!(!accepts::<NicknameField>(&"é".repeat(128)));
    }

    #[test]
    fn metadata_past_the_limit_is_refused_by_the_name_of_its_field() {
        let field = |json: &str| from_str::<MetadataField>(json).unwrap();
        assert!(field(r#"{"a":1}"#).within(8, "/metadata").is_ok());
        let refused = field(r#"{"a":12}"#).within(8, "/metadata").unwrap_err();
        assert!(refused.to_string().contains("/metadata: "), "{refused}");
    }

    #[test]
    fn free_text_refuses_only_what_the_database_refuses() {
        assert!(accepts::<TextField>("any <text> & more\n"));
        assert!(from_str::<TextField>(&json!("a\0b").to_string()).is_err());
    }
}
