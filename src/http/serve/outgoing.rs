//! A response's body on its way to a client who may not read it.
//!
//! It is handed over in pieces. A connection copies or keeps what it is given until it is sent, so
//! that a whole large body at once would stay with it for as long as the connection lives.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Version;
use hyper::body::{Body, Frame, SizeHint};

use super::connection::{Activity, Unsent};
use crate::http::bounds::byte_budget::Held;
use crate::http::message::call::Reply;

/// Bytes that are handed over at once.
const PIECE: usize = 16 * 1_024;

/// The rest of a body.
#[derive(Debug)]
pub struct Outgoing(Bytes);

/// A body with what has to be known of it until its last byte is sent.
struct Watched {
    bytes: Bytes,
    _held: Option<Arc<Held>>,
    _unsent: Unsent,
}

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Outgoing {
    /// The body of a reply on this connection.
    ///
    /// Over HTTP/1 one piece is in the connection's buffer at once, and the socket sees whether it is
    /// sent. Over HTTP/2 every body waits for the client to take it.
    pub fn of(reply: Reply, version: Version, activity: &Arc<Activity>) -> http::Response<Self> {
        let (mut parts, body) = reply.into_parts();
        let mut bytes = whole(body);
        let held = parts.extensions.remove::<Arc<Held>>();
        let is_watched = bytes.len() > PIECE || (version >= Version::HTTP_2 && !bytes.is_empty());
        if is_watched {
            bytes = Bytes::from_owner(Watched { bytes, _held: held, _unsent: activity.unsent() });
        }
        http::Response::from_parts(parts, Self(bytes))
    }
}

/// The only piece that a complete body has.
fn whole(body: http_body_util::Full<Bytes>) -> Bytes {
    let mut bytes = Bytes::new();
    let mut body = std::pin::pin!(body);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    if let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut cx) {
        bytes = frame.into_data().unwrap_or_default();
    }
    bytes
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let piece = if self.0.len() <= PIECE {
            std::mem::take(&mut self.0)
        } else {
            self.0.split_to(PIECE)
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
    }
}
