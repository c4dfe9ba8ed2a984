//! The promise of ADR 1, whatever happens in whatever order, on several nodes.
//!
//! 1. A client that holds the newest token it received can always refresh, whatever responses it
//!    lost.
//! 2. Parallel calls with one token all succeed, with one next token.
//! 3. A token that is used too late ends its session, once, and that is logged.
//! 4. After a sign-out has returned no node issues an access token for the session.
//! 5. All that while connections and nodes fail, Postgres restarts, and the reference works on the
//!    same rows.
//!
//! `model` says what a correct server may respond. `interleavings` decides about every statement of
//! every node, so that a seed reproduces a failure exactly; `crashes` and `spread` let real processes race.

mod crashes;
mod interleavings;
mod model;
mod reference;
mod spread;
mod tracked;
