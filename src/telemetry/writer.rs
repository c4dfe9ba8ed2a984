//! Where log lines go: a bounded buffer and a thread that writes it out, many lines at once.
//!
//! A line costs its writer a copy. A queue of lines (`tracing_appender`) costs an allocation a line and
//! wakes the thread far more often, which every refresh would pay for.

use std::io::Write;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::line;
use crate::domain::clock::Clock;

/// Bytes waiting for a slow reader of the log before lines are dropped, a second's worth at the
/// highest rate that this server reaches.
const MOST_BYTES: usize = 24 * 1_024 * 1_024;

/// What both buffers keep when they are empty.
const KEPT_BYTES: usize = 256 * 1_024;

/// How long lines gather. Without the pause the thread would be woken for every line, at a cost to
/// the request that is higher than making the line.
const PAUSE: Duration = Duration::from_millis(5);

/// The way into the log; cheap to clone.
#[derive(Clone)]
pub struct LogWriter {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// Lines that are not written yet.
#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines that found no room since the last report.
    dropped: usize,
    dropped_ever: usize,
    /// The thread sleeps until there is something to write.
    is_idle: bool,
    is_closed: bool,
}

/// Keeps the log's thread; dropping it writes what is left.
pub struct WriterGuard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Opens the way to `out`.
pub fn batched(out: impl Write + Send + 'static) -> (LogWriter, WriterGuard) {
    let shared = Arc::new(Shared::default());
    let of_thread = Arc::clone(&shared);
    let thread = std::thread::Builder::new()
        .name("log-writer".to_owned())
        .spawn(move || of_thread.write_out(out))
        .ok();
    // Without a thread there is nobody to write, so nothing is kept.
    shared.lock().is_closed = thread.is_none();
    (LogWriter { shared: Arc::clone(&shared) }, WriterGuard { shared, thread })
}

impl LogWriter {
    /// Takes a whole line, or drops and counts it where there is no room.
    pub fn write(&self, line: &[u8]) {
        let mut waiting = self.shared.lock();
        if waiting.is_closed || waiting.lines.len() + line.len() > MOST_BYTES {
            waiting.dropped += 1;
            waiting.dropped_ever += 1;
            return;
        }
        waiting.lines.extend_from_slice(line);
        if mem::take(&mut waiting.is_idle) {
            drop(waiting);
            self.shared.changed.notify_all();
        }
    }

    /// Lines lost because nobody read the log fast enough.
    pub fn dropped_lines(&self) -> usize {
        self.shared.lock().dropped_ever
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // What is inside is whole whenever the lock is free.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: takes all lines at once, and writes while others gather.
    fn write_out(&self, mut out: impl Write) {
        let mut lines = Vec::with_capacity(KEPT_BYTES);
        loop {
            let dropped = {
                let mut waiting = self.lock();
                waiting.is_idle = waiting.lines.is_empty();
                let mut waiting = self
                    .changed
                    .wait_while(waiting, |waiting| waiting.lines.is_empty() && !waiting.is_closed)
                    .unwrap_or_else(PoisonError::into_inner);
                waiting.is_idle = false;
                if waiting.lines.is_empty() {
                    return;
                }
                mem::swap(&mut waiting.lines, &mut lines);
                mem::take(&mut waiting.dropped)
            };
            if dropped > 0 {
                report_dropped(&mut lines, dropped);
            }
            // What could not be written is gone: keeping it would only grow the memory.
            let _ = out.write_all(&lines).and_then(|()| out.flush());
            lines.clear();
            lines.shrink_to(KEPT_BYTES);
            // Ends early when the log is closed.
            let _ =
                self.changed.wait_timeout_while(self.lock(), PAUSE, |waiting| !waiting.is_closed);
        }
    }
}

impl Drop for WriterGuard {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It panics only if the reader of the log made it.
            let _ = thread.join();
        }
    }
}

fn report_dropped(out: &mut Vec<u8>, lines: usize) {
    out.extend_from_slice(b"{\"time\":\"");
    line::push_time(out, Clock::system().now());
    let rest = format!("\",\"level\":\"WARN\",\"msg\":\"log lines dropped\",\"lines\":{lines}}}\n");
    out.extend_from_slice(rest.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Hands what is written to a test, and waits for leave before each write.
    struct Slow {
        leave: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.leave.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_left_is_written_at_the_end() {
        let ((leave, may), (written, wrote)) = (channel(), channel());
        let (writer, guard) = batched(Slow { leave: may, written });
        writer.write(b"one\n");
        writer.write(b"two\n");
        drop(leave);
        drop(guard);
        assert_eq!(wrote.iter().flatten().collect::<Vec<_>>(), b"one\ntwo\n");
        writer.write(b"late\n");
        assert_eq!(writer.dropped_lines(), 1);
    }

    #[test]
    fn a_reader_that_is_too_slow_loses_lines_and_is_told_how_many() {
        let ((leave, may), (written, wrote)) = (channel(), channel());
        let (writer, guard) = batched(Slow { leave: may, written });
        let line = vec![b'x'; MOST_BYTES / 4];
        // At most four wait, and at most four are being written.
        (0..12).for_each(|_| writer.write(&line));
        drop(leave);
        drop(guard);
        let text = String::from_utf8(wrote.iter().flatten().collect()).unwrap();
        let told = text.split("\"lines\":").skip(1).map(|rest| rest.split('}').next().unwrap());
        let told: usize = told.map(|number| number.parse::<usize>().unwrap()).sum();
        assert!((4..=8).contains(&told), "{told}");
        assert_eq!(told, writer.dropped_lines());
    }
}
