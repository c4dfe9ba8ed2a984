//! Response-time padding: the time of a response does not depend on whom it is about
//! (docs/reference-behaviour.md#timing-does-not-tell).
//!
//! What is done for an address that is known differs from what is done for another one by a few
//! statements. So the response waits for the next full step of time since the request came; the
//! work itself takes a small part of one.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::app::App;

/// Pads the time of `work` to a multiple of `AUTH_EVEN_ANSWER_TIME`.
pub async fn pad_response_time<T>(app: &App, work: impl Future<Output = T>) -> T {
    let step = app.config().protection.even_answer_time;
    // In a box, or the work would be part of this future twice.
    Box::pin(pad_to(step, work)).await
}

/// The same where errors are concealed; elsewhere the response itself tells what its time would.
pub async fn pad_concealed<T>(app: &App, work: impl Future<Output = T>) -> T {
    if app.config().server.conceal_errors {
        pad_response_time(app, work).await
    } else {
        Box::pin(work).await
    }
}

/// The same with a step of its own; zero is off.
pub async fn pad_to<T>(step: Duration, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = work.await;
    if !step.is_zero() {
        let steps = start.elapsed().as_nanos() / step.as_nanos() + 1;
        sleep_until(start + step * u32::try_from(steps).unwrap_or(u32::MAX)).await;
    }
    result
}
