//! What Hasura is told about schema `auth`: tables, names, relationships.

use serde_json::{Map, Value, json};

/// A table to track. Columns map to themselves in camel case or, after `=`, to another name.
pub(super) struct Table {
    pub(super) name: &'static str,
    plural: &'static str,
    singular: &'static str,
    columns: &'static str,
}

/// A relationship to create, by the foreign key behind it.
pub(super) enum Relationship {
    /// From `table` over its own `column`.
    Object { table: &'static str, name: &'static str, column: &'static str },
    /// From `table` to the rows of `other` whose `column` refers to it.
    Array { table: &'static str, name: &'static str, other: &'static str, column: &'static str },
}

const fn table(
    name: &'static str,
    plural: &'static str,
    singular: &'static str,
    columns: &'static str,
) -> Table {
    Table { name, plural, singular, columns }
}

/// The table that becomes a GraphQL enum when it is new to Hasura.
pub(super) const ENUM_TABLE: &str = "refresh_token_types";

/// In the order of the calls.
pub(super) static TABLES: [Table; 9] = [
    table("provider_requests", "authProviderRequests", "authProviderRequest", "id options"),
    table(ENUM_TABLE, "authRefreshTokenTypes", "authRefreshTokenType", "value comment"),
    table(
        "refresh_tokens",
        "authRefreshTokens",
        "authRefreshToken",
        "refresh_token_hash created_at expires_at user_id",
    ),
    table("roles", "authRoles", "authRole", "role"),
    table(
        "user_providers",
        "authUserProviders",
        "authUserProvider",
        "id created_at updated_at user_id access_token refresh_token provider_id provider_user_id",
    ),
    table("user_roles", "authUserRoles", "authUserRole", "id created_at user_id role"),
    table(
        "users",
        "users",
        "user",
        "id created_at updated_at last_seen disabled display_name avatar_url locale email \
         phone_number password_hash email_verified phone_number_verified new_email \
         otp_method_last_used otp_hash otp_hash_expires_at default_role is_anonymous totp_secret \
         active_mfa_type ticket ticket_expires_at webauthn_current_challenge=currentChallenge",
    ),
    table("providers", "authProviders", "authProvider", "id"),
    table(
        "user_security_keys",
        "authUserSecurityKeys",
        "authUserSecurityKey",
        "id user_id credential_id credential_public_key",
    ),
];

const fn object(table: &'static str, name: &'static str, column: &'static str) -> Relationship {
    Relationship::Object { table, name, column }
}

const fn array(
    table: &'static str,
    name: &'static str,
    other: &'static str,
    column: &'static str,
) -> Relationship {
    Relationship::Array { table, name, other, column }
}

/// Those that permissions and custom claims of existing projects refer to.
pub(super) static RELATIONSHIPS: [Relationship; 15] = [
    object("users", "defaultRoleByRole", "default_role"),
    array("users", "userProviders", "user_providers", "user_id"),
    array("users", "roles", "user_roles", "user_id"),
    array("users", "refreshTokens", "refresh_tokens", "user_id"),
    array("users", "securityKeys", "user_security_keys", "user_id"),
    object("user_roles", "user", "user_id"),
    object("user_roles", "roleByRole", "role"),
    array("roles", "userRoles", "user_roles", "role"),
    array("roles", "usersByDefaultRole", "users", "default_role"),
    object("refresh_tokens", "user", "user_id"),
    array(ENUM_TABLE, "refreshTokens", "refresh_tokens", "type"),
    object("user_providers", "user", "user_id"),
    object("user_providers", "provider", "provider_id"),
    array("providers", "userProviders", "user_providers", "provider_id"),
    object("user_security_keys", "user", "user_id"),
];

impl Table {
    /// `pg_track_table`.
    pub(super) fn track(&self) -> Value {
        let (plural, singular) = (self.plural, self.singular);
        let columns: Map<String, Value> = self
            .columns
            .split_whitespace()
            .map(|column| match column.split_once('=') {
                Some((name, custom)) => (name.to_owned(), custom.into()),
                None => (column.to_owned(), camel_case(column).into()),
            })
            .collect();
        json!({
            "type": "pg_track_table",
            "args": {
                "source": "default",
                "table": { "schema": "auth", "name": self.name },
                "configuration": {
                    "custom_name": plural,
                    "custom_root_fields": {
                        "select": plural,
                        "select_by_pk": singular,
                        "select_aggregate": format!("{plural}Aggregate"),
                        "insert": verb("insert", plural),
                        "insert_one": verb("insert", singular),
                        "update": verb("update", plural),
                        "update_by_pk": verb("update", singular),
                        "delete": verb("delete", plural),
                        "delete_by_pk": verb("delete", singular),
                    },
                    "custom_column_names": columns,
                },
            },
        })
    }
}

impl Relationship {
    /// `pg_create_object_relationship` or `pg_create_array_relationship`.
    pub(super) fn create(&self) -> Value {
        let (kind, table, name, using) = match self {
            Self::Object { table, name, column } => ("object", table, name, json!(column)),
            Self::Array { table, name, other, column } => (
                "array",
                table,
                name,
                json!({ "table": { "schema": "auth", "name": other }, "column": column }),
            ),
        };
        json!({
            "type": format!("pg_create_{kind}_relationship"),
            "args": {
                "source": "default",
                "table": { "schema": "auth", "name": table },
                "name": name,
                "using": { "foreign_key_constraint_on": using },
            },
        })
    }

    /// `users.roles`, for messages.
    pub(super) fn label(&self) -> String {
        let (Self::Object { table, name, .. } | Self::Array { table, name, .. }) = self;
        format!("{table}.{name}")
    }
}

/// `pg_set_table_is_enum` for the lookup table of token types.
pub(super) fn set_enum() -> Value {
    json!({
        "type": "pg_set_table_is_enum",
        "args": {
            "source": "default",
            "table": { "schema": "auth", "name": ENUM_TABLE },
            "is_enum": true,
        },
    })
}

fn verb(verb: &str, noun: &str) -> String {
    format!("{verb}{}", capitalised(noun))
}

fn camel_case(column: &str) -> String {
    let mut words = column.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &capitalised(word))
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_ascii_uppercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_of_a_table_is_the_contracts() {
        assert_eq!(
            TABLES[0].track(),
            json!({"type": "pg_track_table", "args": {
                "source": "default",
                "table": {"schema": "auth", "name": "provider_requests"},
                "configuration": {
                    "custom_name": "authProviderRequests",
                    "custom_root_fields": {
                        "select": "authProviderRequests",
                        "select_by_pk": "authProviderRequest",
                        "select_aggregate": "authProviderRequestsAggregate",
                        "insert": "insertAuthProviderRequests",
                        "insert_one": "insertAuthProviderRequest",
                        "update": "updateAuthProviderRequests",
                        "update_by_pk": "updateAuthProviderRequest",
                        "delete": "deleteAuthProviderRequests",
                        "delete_by_pk": "deleteAuthProviderRequest"
                    },
                    "custom_column_names": {"id": "id", "options": "options"}
                }
            }})
        );
        let users = TABLES[6].track();
        let columns = users["args"]["configuration"]["custom_column_names"].as_object().unwrap();
        assert_eq!(columns.len(), 24);
        assert_eq!(columns["webauthn_current_challenge"], "currentChallenge");
        assert_eq!(columns["otp_hash_expires_at"], "otpHashExpiresAt");
        assert!(!columns.contains_key("metadata"));
    }

    #[test]
    fn relationships_name_the_foreign_key() {
        assert_eq!(
            RELATIONSHIPS[2].create(),
            json!({"type": "pg_create_array_relationship", "args": {
                "source": "default",
                "table": {"schema": "auth", "name": "users"},
                "name": "roles",
                "using": {"foreign_key_constraint_on": {
                    "table": {"schema": "auth", "name": "user_roles"}, "column": "user_id"
                }}
            }})
        );
        assert_eq!(
            RELATIONSHIPS[0].create()["args"]["using"],
            json!({"foreign_key_constraint_on": "default_role"})
        );
    }
}
