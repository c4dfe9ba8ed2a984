//! Settings of Hasura's metadata API.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[HASURA_GRAPHQL_GRAPHQL_URL, HASURA_GRAPHQL_ADMIN_SECRET];

pub(crate) const HASURA_GRAPHQL_GRAPHQL_URL: Setting = Setting::text(
    "graphql-url",
    "HASURA_GRAPHQL_GRAPHQL_URL",
    "",
    "GraphQL endpoint of Hasura, whose metadata is kept; empty means that nothing is called",
)
.live();

pub(crate) const HASURA_GRAPHQL_ADMIN_SECRET: Setting =
    Setting::secret("hasura-admin-secret", "HASURA_GRAPHQL_ADMIN_SECRET", "Admin secret of Hasura")
        .live();
