//! Wakes at a time, to the microsecond where the system can.
//!
//! The timer of tokio has a step of a millisecond: an open loop would then find that a server takes
//! half a millisecond longer than it does.

use std::time::Duration;

#[cfg(target_os = "linux")]
pub(super) use self::linux::Clock;
#[cfg(not(target_os = "linux"))]
pub(super) use self::other::Clock;

/// Shortest wait that is worth asking the system for.
const SHORTEST: Duration = Duration::from_micros(1);

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    /// A timer of the kernel.
    pub(in crate::run) struct Clock {
        timer: AsyncFd<OwnedFd>,
    }

    impl Clock {
        /// In a runtime.
        #[expect(
            deprecated,
            reason = "its successor is unsafe; this descriptor is owned and closed with the timer"
        )]
        pub(in crate::run) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Self { timer: AsyncFd::new(timer)? })
        }

        /// Waits for this long.
        pub(in crate::run) async fn wait(&self, time: Duration) -> io::Result<()> {
            let time = time.max(super::SHORTEST);
            let once = Itimerspec {
                it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
                it_value: Timespec {
                    tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                    tv_nsec: time.subsec_nanos().into(),
                },
            };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
            loop {
                let mut ready = self.timer.readable().await?;
                let read = ready.try_io(|timer| {
                    let mut times = [0; 8];
                    rustix::io::read(timer, &mut times).map_err(io::Error::from)
                });
                if let Ok(read) = read {
                    return read.map(drop);
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::time::Duration;

    use tokio::time::{Instant, sleep_until};

    /// The timer of tokio.
    pub(in crate::run) struct Clock;

    impl Clock {
        /// In a runtime.
        #[expect(clippy::unnecessary_wraps, reason = "the other one may fail")]
        pub(in crate::run) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        /// Waits for this long.
        #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as the other one")]
        pub(in crate::run) async fn wait(&self, time: Duration) -> io::Result<()> {
            sleep_until(Instant::now() + time.max(super::SHORTEST)).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn it_waits_as_long_as_it_is_told() {
        let (clock, begun) = (Clock::new().unwrap(), Instant::now());
        for _ in 0..20 {
            clock.wait(Duration::from_micros(300)).await.unwrap();
        }
        clock.wait(Duration::ZERO).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(6), "{:?}", begun.elapsed());
    }
}
