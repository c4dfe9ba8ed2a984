//! `GET /user`: the caller's profile.

use bytes::Bytes;

use crate::app::App;
use crate::domain::error::AuthError;
use crate::flows::guards::bearer::current_user;

/// The profile of the bearer's user, as the body of the response.
pub async fn get_user(app: &App, bearer: Option<&str>) -> Result<Bytes, AuthError> {
    Ok(current_user(app, bearer).await?.profile())
}
