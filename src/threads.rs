//! Threads for work that keeps a core busy longer than a request may keep a worker: hashes, and
//! signatures by RSA.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// A bounded number of threads, started when they are needed; they end when this is dropped and
/// nothing waits any more.
pub struct Threads {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    most: usize,
    gives_way: bool,
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    number: usize,
    idle: usize,
    is_closed: bool,
}

impl Threads {
    /// No thread yet, and at most `most`.
    pub fn new(name: &'static str, most: usize) -> Self {
        Self::with_priority(name, most, false)
    }

    /// The same with threads of a lower priority than those that serve.
    pub fn giving_way(name: &'static str, most: usize) -> Self {
        Self::with_priority(name, most, true)
    }

    fn with_priority(name: &'static str, most: usize, gives_way: bool) -> Self {
        let (state, more) = (Mutex::default(), Condvar::new());
        Self { shared: Arc::new(Shared { name, most: most.max(1), gives_way, state, more }) }
    }

    /// Does the work as soon as a thread is free; the caller bounds what waits.
    pub fn run(&self, work: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.lock();
        state.waiting.push_back(Box::new(work));
        if state.waiting.len() > state.idle && state.number < self.shared.most {
            let shared = Arc::clone(&self.shared);
            let started = Builder::new().name(shared.name.to_owned()).spawn(move || shared.serve());
            match started {
                Ok(_) => state.number += 1,
                // The others do it. Without any, what waits is dropped, which its callers notice.
                Err(_) if state.number == 0 => state.waiting.clear(),
                Err(_) => {}
            }
        }
        drop(state);
        self.shared.more.notify_one();
    }

    /// Does the work and waits for what it returns; `None` if it panicked.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, response) = oneshot::channel();
        self.run(move || {
            // The caller may have given up.
            let _ = reply.send(work());
        });
        response.await.ok()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.more.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What is inside is whole whenever the lock is free.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        if self.gives_way {
            give_way();
        }
        loop {
            let work = {
                let mut state = self.lock();
                loop {
                    if let Some(work) = state.waiting.pop_front() {
                        break work;
                    }
                    if state.is_closed {
                        return;
                    }
                    state.idle += 1;
                    state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.idle -= 1;
                }
            };
            // A panic drops the work's reply port, which tells its caller.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }
}

/// Lowers the priority of this thread for good.
#[cfg(target_os = "linux")]
fn give_way() {
    /// Half of the share of a thread that serves, where both want the same core: enough for that one
    /// to be served first, and never so little that hashes hardly go on.
    const NICENESS: i32 = 3;
    // Refused by a sandbox it is only slower for others.
    let _ = rustix::process::nice(NICENESS);
}

/// Elsewhere priorities belong to the whole process.
#[cfg(not(target_os = "linux"))]
const fn give_way() {}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn work_runs_at_once_up_to_the_bound_and_no_further() {
        let threads = Threads::giving_way("test", 2);
        // Both must be there at once, or neither goes on.
        let both = Arc::new(Barrier::new(2));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let calls = (0..10).map(|n| {
            let (both, running, most) =
                (Arc::clone(&both), Arc::clone(&running), Arc::clone(&most));
            threads.call(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                both.wait();
                running.fetch_sub(1, Ordering::SeqCst);
                n
            })
        });
        let responses = futures_util::future::join_all(calls).await;
        assert_eq!(responses, (0..10).map(Some).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_panic_is_an_absent_result_and_the_thread_goes_on() {
        let threads = Threads::new("test", 1);
        assert_eq!(threads.call(|| -> u8 { panic!("as told") }).await, None);
        assert_eq!(threads.call(|| 7).await, Some(7));
    }

    #[test]
    fn what_waits_is_done_although_the_threads_are_let_go() {
        let threads = Threads::new("test", 1);
        let (done, dones) = std::sync::mpsc::channel();
        for n in 0..3 {
            let done = done.clone();
            threads.run(move || done.send(n).unwrap());
        }
        drop((threads, done));
        assert_eq!(dones.iter().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
