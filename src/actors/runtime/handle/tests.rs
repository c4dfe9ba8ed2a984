use ractor::{Actor, ActorProcessingErr};

use super::*;

struct Echo;

enum EchoMsg {
    Reply(RpcReplyPort<&'static str>),
    /// Keeps the reply port and never replies.
    Keep(RpcReplyPort<&'static str>),
    /// Drops the reply port and lives on.
    Drop(RpcReplyPort<&'static str>),
    Crash,
}

impl Crash for EchoMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

impl Actor for Echo {
    type Msg = EchoMsg;
    type State = (&'static str, Vec<RpcReplyPort<&'static str>>);
    type Arguments = &'static str;

    async fn pre_start(
        &self,
        _myself: ActorRef<EchoMsg>,
        name: &'static str,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok((name, Vec::new()))
    }

    async fn handle(
        &self,
        _myself: ActorRef<EchoMsg>,
        message: EchoMsg,
        (name, kept): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            EchoMsg::Reply(reply) => {
                let _ = reply.send(name);
            }
            EchoMsg::Keep(reply) => kept.push(reply),
            EchoMsg::Drop(reply) => drop(reply),
            EchoMsg::Crash => panic!("told to crash"),
        }
        Ok(())
    }
}

async fn start(slot: &Slot<EchoMsg>, name: &'static str) {
    let (actor, _join) = Actor::spawn(None, Echo, name).await.unwrap();
    slot.fill(actor, Arc::default());
}

fn handle(slot: &Arc<Slot<EchoMsg>>, max_in_flight: usize, timeout_ms: u64) -> Handle<EchoMsg> {
    Handle::new("echo", Arc::clone(slot), max_in_flight, Duration::from_millis(timeout_ms))
}

fn assert_unavailable(response: &Result<&'static str, AuthError>) {
    assert!(matches!(response, Err(AuthError::Unavailable { what: "echo", .. })), "{response:?}");
}

/// Lets everything run that can, until the handle has so many requests in flight.
async fn in_flight(handle: &Handle<EchoMsg>, count: usize) {
    while handle.in_flight() != count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_actor_that_does_not_reply_in_time_is_unavailable() {
    let slot = Arc::default();
    let handle = handle(&slot, 10, 50);
    start(&slot, "one").await;
    let before = Instant::now();
    assert_unavailable(&handle.call(EchoMsg::Keep).await);
    assert!(before.elapsed() >= Duration::from_millis(50));
    assert_eq!(handle.in_flight(), 0);
    assert_eq!(handle.call(EchoMsg::Reply).await.unwrap(), "one");
}

#[tokio::test]
async fn a_reply_that_a_living_actor_drops_is_an_error_at_once() {
    let slot = Arc::default();
    let handle = handle(&slot, 10, 60_000);
    start(&slot, "one").await;
    let before = Instant::now();
    assert_unavailable(&handle.call(EchoMsg::Drop).await);
    assert!(before.elapsed() < Duration::from_secs(30), "{:?}", before.elapsed());
    assert_eq!(handle.call(EchoMsg::Reply).await.unwrap(), "one");
}

#[tokio::test]
async fn an_actor_that_never_comes_is_unavailable_after_the_deadline() {
    let slot = Arc::default();
    assert_unavailable(&handle(&slot, 10, 20).call(EchoMsg::Reply).await);
}

#[tokio::test]
async fn a_request_waits_for_the_first_incarnation() {
    let slot = Arc::default();
    let handle = handle(&slot, 10, 10_000);
    let filling = async {
        in_flight(&handle, 1).await;
        start(&slot, "one").await;
    };
    let (response, ()) = tokio::join!(handle.call(EchoMsg::Reply), filling);
    assert_eq!(response.unwrap(), "one");
}

#[tokio::test]
async fn a_request_that_died_with_its_actor_is_sent_to_the_next_one() {
    let slot = Arc::default();
    let handle = handle(&slot, 10, 10_000);
    start(&slot, "one").await;
    let restarting = async {
        in_flight(&handle, 1).await;
        handle.crash();
        start(&slot, "two").await;
    };
    let sent = AtomicUsize::new(0);
    let request = |reply| {
        // Only the first incarnation keeps it.
        if sent.fetch_add(1, Ordering::SeqCst) == 0 {
            EchoMsg::Keep(reply)
        } else {
            EchoMsg::Reply(reply)
        }
    };
    let (response, ()) = tokio::join!(handle.call(request), restarting);
    assert_eq!(response.unwrap(), "two");
    assert_eq!(sent.into_inner(), 2);
}

#[tokio::test]
async fn a_request_that_died_with_two_actors_is_not_sent_to_a_third() {
    let slot = Arc::default();
    let handle = handle(&slot, 10, 10_000);
    start(&slot, "one").await;
    let sent = AtomicUsize::new(0);
    let request = |reply| {
        sent.fetch_add(1, Ordering::SeqCst);
        EchoMsg::Keep(reply)
    };
    let restarting = async {
        for (deaths, name) in [(1, "two"), (2, "three")] {
            while sent.load(Ordering::SeqCst) != deaths {
                tokio::task::yield_now().await;
            }
            handle.kill();
            start(&slot, name).await;
        }
    };
    let (response, ()) = tokio::join!(handle.call(request), restarting);
    assert_unavailable(&response);
    assert_eq!(sent.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn requests_past_the_bound_are_refused_at_once_and_places_come_back() {
    let slot = Arc::default();
    let handle = handle(&slot, 2, 10_000);
    start(&slot, "one").await;
    {
        let mut waiting = Box::pin(async {
            tokio::join!(handle.call(EchoMsg::Keep), handle.call(EchoMsg::Keep))
        });
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("nobody replies to these"),
            () = in_flight(&handle, 2) => {}
        }
        let before = Instant::now();
        assert_unavailable(&handle.call(EchoMsg::Reply).await);
        assert!(before.elapsed() < Duration::from_secs(5));
        assert_eq!(handle.in_flight(), 2);
    }
    // Callers that hang up give their places back.
    assert_eq!(handle.in_flight(), 0);
    assert_eq!(handle.call(EchoMsg::Reply).await.unwrap(), "one");
}

#[tokio::test]
async fn hints_to_an_actor_that_is_gone_are_dropped() {
    let slot = Arc::default();
    let handle = handle(&slot, 2, 10);
    handle.cast(EchoMsg::Crash);
    handle.kill();
    start(&slot, "one").await;
    assert_eq!(handle.call(EchoMsg::Reply).await.unwrap(), "one");
}
