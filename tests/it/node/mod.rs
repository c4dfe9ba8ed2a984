//! The server itself: health, settings, restarts, Postgres away, caches.

mod caches;
mod change_env;
mod embedded_postgres;
mod foreign_values;
mod health;
mod held_rows;
mod jwks;
mod local_routes;
mod nodes;
mod postgres_away;
mod restarts;
mod settings;
mod version;
