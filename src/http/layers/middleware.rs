//! A layer as two functions: what happens to a call on its way in, and to its response on its way out.
//!
//! tower asks every layer for a factory, a service and a future of its own; [`Wrap`] is all three, so
//! that a layer is a type with [`Middleware`]. Nothing is boxed unless a layer has to wait.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::http::message::call::Reply;

/// What one layer does with the calls that pass it.
pub trait Middleware<In>: Clone {
    /// What the next layer is given.
    type Out;
    /// What is kept until the response is there. It is dropped without [`Middleware::leave`] if the
    /// client goes away before.
    type Exit;

    /// Lets the call pass, or responds to it.
    fn enter(&self, call: In) -> Enter<Self::Out, Self::Exit>;

    /// Completes the response of whatever passed.
    fn leave(exit: Self::Exit, reply: Reply) -> Reply;
}

/// How a call went past a layer.
pub enum Enter<Out, Exit> {
    Pass(Out, Exit),
    Respond(Reply),
    /// It takes an await to know; [`Entered`] has no third form, so nobody waits twice.
    Wait(BoxFuture<'static, Entered<Out, Exit>>),
}

/// How a call went past a layer after it has waited.
pub enum Entered<Out, Exit> {
    Pass(Out, Exit),
    Respond(Reply),
}

/// A [`Middleware`] around the services within it.
#[derive(Clone, Debug)]
pub struct Wrap<M>(pub M);

impl<M: Clone, T> Layer<T> for Wrap<M> {
    type Service = Wrapped<M, T>;

    fn layer(&self, inner: T) -> Wrapped<M, T> {
        Wrapped { middleware: self.0.clone(), inner }
    }
}

/// See [`Wrap`].
#[derive(Clone, Debug)]
pub struct Wrapped<M, T> {
    middleware: M,
    inner: T,
}

impl<M, T, In> Service<In> for Wrapped<M, T>
where
    M: Middleware<In>,
    T: Service<M::Out, Response = Reply, Error = Infallible> + Clone,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = WrappedFuture<M, In, T>;

    /// Services here are always ready; whoever is over a limit is responded to.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: In) -> Self::Future {
        match self.middleware.enter(call) {
            Enter::Pass(out, exit) => {
                WrappedFuture::Within { inner: self.inner.call(out), exit: Some(exit) }
            }
            Enter::Respond(reply) => WrappedFuture::Done { reply: Some(reply) },
            Enter::Wait(entering) => {
                WrappedFuture::Entering { entering, inner: self.inner.clone() }
            }
        }
    }
}

pin_project! {
    /// The future of [`Wrapped`].
    #[project = WrappedProjection]
    pub enum WrappedFuture<M, In, T>
    where
        M: Middleware<In>,
        T: Service<M::Out>,
    {
        Entering { entering: BoxFuture<'static, Entered<M::Out, M::Exit>>, inner: T },
        Within { #[pin] inner: T::Future, exit: Option<M::Exit> },
        Done { reply: Option<Reply> },
    }
}

impl<M, In, T> Future for WrappedFuture<M, In, T>
where
    M: Middleware<In>,
    T: Service<M::Out, Response = Reply, Error = Infallible>,
{
    type Output = Result<Reply, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                WrappedProjection::Within { inner, exit } => {
                    let Ok(reply) = ready!(inner.poll(cx));
                    return Poll::Ready(Ok(match exit.take() {
                        Some(exit) => M::leave(exit, reply),
                        None => reply,
                    }));
                }
                WrappedProjection::Done { reply } => {
                    return Poll::Ready(Ok(reply.take().unwrap_or_default()));
                }
                WrappedProjection::Entering { entering, inner } => {
                    match ready!(entering.as_mut().poll(cx)) {
                        Entered::Pass(out, exit) => {
                            Self::Within { inner: inner.call(out), exit: Some(exit) }
                        }
                        Entered::Respond(reply) => Self::Done { reply: Some(reply) },
                    }
                }
            };
            self.set(next);
        }
    }
}
