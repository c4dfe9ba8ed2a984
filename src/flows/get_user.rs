//! `GET /user`: the caller's profile.

use serde_json::value::RawValue;

use super::bearer::current_user;
use crate::app::App;
use crate::domain::error::AuthError;

/// The profile of the bearer's user.
pub async fn get_user(app: &App, bearer: Option<&str>) -> Result<Box<RawValue>, AuthError> {
    Ok(current_user(app, bearer).await?.profile_json())
}
