use std::sync::atomic::{AtomicU32, Ordering};

use ractor::RpcReplyPort;
use tokio::task::JoinHandle;

use super::*;
use crate::actors::runtime::handle::{Crash, Handle, MessageOrigin};

/// What children did, in order.
type Journal = Arc<Mutex<Vec<String>>>;

struct Probe;

enum ProbeMsg {
    /// Which incarnation is this?
    Incarnation(RpcReplyPort<u32>),
    Note(&'static str),
    Crash,
}

impl MessageOrigin for ProbeMsg {
    fn is_from_caller(&self) -> bool {
        true
    }
}

impl Crash for ProbeMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

struct ProbeArgs {
    name: &'static str,
    journal: Journal,
    incarnation: u32,
    /// Starts that are still to fail, after the first one.
    bad_starts: Arc<AtomicU32>,
}

impl Actor for Probe {
    type Msg = ProbeMsg;
    type State = ProbeArgs;
    type Arguments = ProbeArgs;

    async fn pre_start(
        &self,
        _myself: ActorRef<ProbeMsg>,
        args: ProbeArgs,
    ) -> Result<ProbeArgs, ActorProcessingErr> {
        let bad = |left: u32| left.checked_sub(1);
        if args.incarnation > 1
            && args.bad_starts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, bad).is_ok()
        {
            return Err("a bad start".into());
        }
        Ok(args)
    }

    async fn handle(
        &self,
        _myself: ActorRef<ProbeMsg>,
        message: ProbeMsg,
        state: &mut ProbeArgs,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ProbeMsg::Incarnation(reply) => {
                let _ = reply.send(state.incarnation);
            }
            ProbeMsg::Note(note) => state.write(note),
            ProbeMsg::Crash => panic!("a probe was told to crash"),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<ProbeMsg>,
        state: &mut ProbeArgs,
    ) -> Result<(), ActorProcessingErr> {
        state.write("cleaned up");
        Ok(())
    }
}

impl ProbeArgs {
    fn write(&self, note: &str) {
        self.journal.lock().unwrap().push(format!("{} {note}", self.name));
    }
}

/// A child and the way to it.
struct Child {
    handle: Handle<ProbeMsg>,
    slot: Arc<Slot<ProbeMsg>>,
    starts: Arc<AtomicU32>,
    bad_starts: Arc<AtomicU32>,
    journal: Journal,
    name: &'static str,
}

impl Child {
    fn new(name: &'static str, journal: &Journal) -> Self {
        let slot = Arc::default();
        let handle = Handle::new("probe", Arc::clone(&slot), 100, Duration::from_secs(10));
        let (starts, bad_starts, journal) = (Arc::default(), Arc::default(), Arc::clone(journal));
        Self { handle, slot, starts, bad_starts, journal, name }
    }

    fn spec(&self) -> ChildSpec {
        let (starts, bad_starts) = (Arc::clone(&self.starts), Arc::clone(&self.bad_starts));
        let (name, journal) = (self.name, Arc::clone(&self.journal));
        ChildSpec::actor(
            name,
            &self.slot,
            || Probe,
            move || ProbeArgs {
                name,
                journal: Arc::clone(&journal),
                incarnation: starts.fetch_add(1, Ordering::SeqCst) + 1,
                bad_starts: Arc::clone(&bad_starts),
            },
        )
    }

    async fn incarnation(&self) -> u32 {
        self.handle.call(ProbeMsg::Incarnation).await.unwrap()
    }

    /// Panics, and waits for the next incarnation.
    async fn crash(&self) {
        let before = self.incarnation().await;
        self.handle.crash();
        assert!(self.incarnation().await > before);
    }
}

fn policy(max_restarts: u32) -> RestartPolicy {
    RestartPolicy {
        max_restarts,
        window: Duration::from_mins(1),
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(10),
    }
}

struct Root {
    actor: ActorRef<SupervisorMsg>,
    ended: JoinHandle<()>,
    tree: TreeView,
    gave_up: CancellationToken,
}

impl Root {
    async fn start(policy: RestartPolicy, tree: TreeView, children: Vec<ChildSpec>) -> Self {
        let gave_up = CancellationToken::new();
        let args = SupervisorArgs {
            path: String::new(),
            policy: policy.into(),
            tree: tree.clone(),
            children,
            gave_up: Some(gave_up.clone()),
        };
        let (actor, ended) = Actor::spawn(None, Supervisor, args).await.unwrap();
        Self { actor, ended, tree, gave_up }
    }

    fn status(&self, name: &str) -> ChildStatus {
        self.tree.list().into_iter().find(|(child, _)| child == name).unwrap().1
    }

    async fn stop(self) {
        self.actor.stop(None);
        self.ended.await.unwrap();
    }
}

#[tokio::test]
async fn whichever_way_a_child_ends_it_is_started_again_and_the_others_live_on() {
    let journal = Journal::default();
    let (one, other) = (Child::new("one", &journal), Child::new("other", &journal));
    let root = Root::start(policy(10), TreeView::default(), vec![one.spec(), other.spec()]).await;
    assert!(root.tree.is_standing());

    one.crash().await;
    one.handle.kill();
    while one.incarnation().await < 3 {}
    one.slot.get().unwrap().actor().stop(None);
    while one.incarnation().await < 4 {}

    assert_eq!(other.incarnation().await, 1);
    assert_eq!(root.status("one").restarts, 3);
    assert_eq!(root.status("other").restarts, 0);
    assert!(root.tree.is_standing());
    root.stop().await;
}

#[tokio::test]
async fn a_child_that_cannot_start_is_tried_again() {
    let child = Child::new("child", &Journal::default());
    let root = Root::start(policy(10), TreeView::default(), vec![child.spec()]).await;
    child.bad_starts.store(3, Ordering::SeqCst);
    child.crash().await;
    assert_eq!(child.incarnation().await, 5);
    let status = root.status("child");
    assert_eq!((status.state, status.restarts), (ChildState::Running, 4));
    assert!(status.last_failure.unwrap().reason.contains("a bad start"));
    root.stop().await;
}

#[tokio::test]
async fn the_view_tells_what_happened_to_a_child_that_waits() {
    let child = Child::new("child", &Journal::default());
    let patient = RestartPolicy {
        backoff_min: Duration::from_mins(1),
        backoff_max: Duration::from_mins(1),
        ..policy(10)
    };
    let root = Root::start(patient, TreeView::default(), vec![child.spec()]).await;
    child.incarnation().await;
    child.handle.crash();
    while root.tree.is_standing() {
        tokio::task::yield_now().await;
    }
    let status = root.status("child");
    assert_eq!((status.state, status.restarts), (ChildState::BackingOff, 1));
    assert!(status.last_failure.unwrap().reason.contains("told to crash"));
    root.stop().await;
}

#[test]
fn an_empty_tree_does_not_stand() {
    assert!(!TreeView::default().is_standing());
}

#[test]
fn delays_double_up_to_a_limit() {
    let policy = RestartPolicy {
        max_restarts: 1,
        window: Duration::from_mins(1),
        backoff_min: Duration::from_millis(20),
        backoff_max: Duration::from_secs(5),
    };
    let delays: Vec<_> = (0..10).map(|failures| backoff(policy, failures).as_millis()).collect();
    assert_eq!(delays, [20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_000, 5_000]);
    assert_eq!(backoff(policy, u32::MAX), policy.backoff_max);
}

#[tokio::test]
async fn delays_grow_with_each_failure_and_are_short_again_after_a_quiet_window() {
    let child = Child::new("child", &Journal::default());
    let growing = RestartPolicy {
        max_restarts: 100,
        window: Duration::from_millis(500),
        backoff_min: Duration::from_millis(20),
        backoff_max: Duration::from_mins(1),
    };
    let root = Root::start(growing, TreeView::default(), vec![child.spec()]).await;
    let mut delays = Vec::new();
    for _ in 0..4 {
        let before = Instant::now();
        child.crash().await;
        delays.push(before.elapsed());
    }
    for (delay, least) in delays.iter().zip([20, 40, 80, 160]) {
        assert!(*delay >= Duration::from_millis(least), "{delays:?}");
    }

    let mut quiet = tokio::time::interval(Duration::from_millis(600));
    quiet.tick().await;
    quiet.tick().await;
    let before = Instant::now();
    child.crash().await;
    assert!(before.elapsed() < Duration::from_millis(160), "{:?}", before.elapsed());
    root.stop().await;
}

#[tokio::test]
async fn failures_outside_the_window_do_not_count() {
    let child = Child::new("child", &Journal::default());
    let short = RestartPolicy { window: Duration::from_millis(30), ..policy(1) };
    let root = Root::start(short, TreeView::default(), vec![child.spec()]).await;
    let mut quiet = tokio::time::interval(Duration::from_millis(50));
    // On a busy machine, a tick that was missed must not be made up for: that would be a failure sooner.
    quiet.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for _ in 0..5 {
        quiet.tick().await;
        child.crash().await;
    }
    assert!(!root.gave_up.is_cancelled());
    root.stop().await;
}

#[tokio::test]
async fn a_root_that_gives_up_says_so_and_lets_the_others_finish() {
    let journal = Journal::default();
    let (bad, good) = (Child::new("bad", &journal), Child::new("good", &journal));
    let root = Root::start(policy(2), TreeView::default(), vec![bad.spec(), good.spec()]).await;
    bad.crash().await;
    bad.crash().await;
    assert!(!root.gave_up.is_cancelled());
    bad.handle.crash();
    root.gave_up.cancelled().await;

    assert_eq!(good.incarnation().await, 1);
    assert!(!root.tree.is_standing());
    good.handle.kill();
    assert_eq!(bad.starts.load(Ordering::SeqCst), 3, "nothing is restarted any more");
    root.stop().await;
}

/// An inner supervisor below the root.
async fn nested(
    inner: RestartPolicy,
    outer: RestartPolicy,
    children: [Child; 2],
) -> (Root, Arc<[Child; 2]>) {
    let children = Arc::new(children);
    let (tree, specs) = (TreeView::default(), Arc::clone(&children));
    let child = ChildSpec::supervisor("inner", inner.into(), tree.clone(), move || {
        specs.iter().map(Child::spec).collect()
    });
    (Root::start(outer, tree, vec![child]).await, children)
}

#[tokio::test]
async fn an_inner_supervisor_that_gives_up_is_restarted_with_all_of_its_children() {
    let journal = Journal::default();
    let pair = [Child::new("a", &journal), Child::new("b", &journal)];
    let (root, children) = nested(policy(1), policy(1), pair).await;
    let names: Vec<_> = root.tree.list().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["inner", "inner/a", "inner/b"]);

    children[0].crash().await;
    assert_eq!(children[1].incarnation().await, 1);
    children[0].crash().await;
    assert_eq!(root.status("inner").restarts, 1);
    while children[1].incarnation().await < 2 {}
    while !root.tree.is_standing() {
        tokio::task::yield_now().await;
    }

    // The inner one has forgotten its failures, the outer one has not.
    children[1].crash().await;
    assert!(!root.gave_up.is_cancelled());
    children[1].handle.crash();
    root.gave_up.cancelled().await;
    root.stop().await;
}

#[tokio::test]
async fn a_stopping_tree_finishes_its_mailboxes_and_cleans_up_before_it_is_gone() {
    let journal = Journal::default();
    let pair = [Child::new("a", &journal), Child::new("b", &journal)];
    let (root, children) = nested(policy(1), policy(1), pair).await;
    for child in children.iter() {
        child.incarnation().await;
        child.handle.cast(ProbeMsg::Note("first"));
        child.handle.cast(ProbeMsg::Note("second"));
    }
    root.stop().await;
    let journal = journal.lock().unwrap();
    for name in ["a", "b"] {
        let notes: Vec<_> = journal.iter().filter(|line| line.starts_with(name)).collect();
        assert_eq!(
            notes,
            [&format!("{name} first"), &format!("{name} second"), &format!("{name} cleaned up")]
        );
    }
}
