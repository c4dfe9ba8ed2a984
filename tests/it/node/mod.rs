//! The server itself: health, settings, restarts, Postgres away, caches.

mod caches;
mod change_env;
mod embedded_postgres;
mod first_use;
mod foreign_values;
mod foreign_verifiers;
mod health;
mod held_rows;
mod jwks;
mod keys_command;
mod late_neighbours;
mod local_routes;
mod nodes;
mod pooler;
mod postgres_away;
mod postgres_tls;
mod restarts;
mod secret_files;
mod settings;
mod signing_keys;
mod version;
