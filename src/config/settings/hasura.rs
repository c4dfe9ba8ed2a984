//! Settings of Hasura's metadata API.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::text(
        "graphql-url",
        "HASURA_GRAPHQL_GRAPHQL_URL",
        "",
        "GraphQL endpoint of Hasura, whose metadata is kept; empty means that nothing is called",
    )
    .live(),
    Setting::secret("hasura-admin-secret", "HASURA_GRAPHQL_ADMIN_SECRET", "Admin secret of Hasura")
        .live(),
];
