//! Where log lines go: a bounded queue and a thread that writes them in batches.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::line;
use crate::domain::clock::Clock;

/// Lines waiting for a slow reader of the log before lines are dropped, a second's worth at the
/// highest rate that this server reaches.
const QUEUE: usize = 65_536;

/// A batch that is written before the queue is empty.
const BATCH_BYTES: usize = 64 * 1_024;

/// How long a batch gathers. Without the pause the thread would be woken for every line, at a
/// cost to the request that is higher than making the line.
const PAUSE: Duration = Duration::from_millis(5);

/// Opens the way to `out`; the guard writes what is left when it is dropped.
pub fn batched(out: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    let dropped = Arc::new(OnceLock::new());
    let batch = Batch { out, buffer: Vec::with_capacity(2 * BATCH_BYTES), dropped, reported: 0 };
    let counter = Arc::clone(&batch.dropped);
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUE)
        .lossy(true)
        .thread_name("log-writer")
        .finish(batch);
    // Set once: the cell is new.
    let _ = counter.set(writer.error_counter());
    (writer, guard)
}

/// Gathers the lines that the queue's thread takes out, and reports lines that were dropped.
struct Batch<W: Write> {
    out: W,
    buffer: Vec<u8>,
    dropped: Arc<OnceLock<ErrorCounter>>,
    reported: usize,
}

impl<W: Write> Batch<W> {
    fn write_out(&mut self) -> io::Result<()> {
        let result = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        // What could not be written is gone: keeping it would only grow the memory.
        self.buffer.clear();
        result
    }

    fn report_dropped(&mut self) {
        let total = self.dropped.get().map_or(0, ErrorCounter::dropped_lines);
        if total > self.reported {
            self.buffer.extend_from_slice(b"{\"time\":\"");
            line::push_time(&mut self.buffer, Clock::system().now());
            let lines = total - self.reported;
            let _ = writeln!(
                self.buffer,
                "\",\"level\":\"WARN\",\"msg\":\"log lines dropped\",\"lines\":{lines}}}"
            );
            self.reported = total;
        }
    }
}

impl<W: Write> Write for Batch<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(line);
        if self.buffer.len() >= BATCH_BYTES {
            self.write_out()?;
        }
        Ok(line.len())
    }

    #[expect(clippy::disallowed_methods, reason = "there is no condition: the pause is the point")]
    fn flush(&mut self) -> io::Result<()> {
        self.report_dropped();
        let result = self.write_out();
        std::thread::sleep(PAUSE);
        result
    }
}
