//! The one runtime on which everything runs that must listen all the time, and the two ways a blocking call waits for such work.

use crate::TimeBase;
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use std::future::Future;
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();

/// The runtime's handle; it is started by the first driver that needs it. One thread serves all of them.
pub fn handle() -> Result<&'static Handle, ChannelError> {
    let started = RUNTIME
        .get_or_init(|| Builder::new_multi_thread().worker_threads(1).thread_name("proofbench-io").enable_all().build().map_err(|e| e.to_string()));
    match started {
        Ok(runtime) => Ok(runtime.handle()),
        Err(why) => Err(ChannelError::caused(ErrorKind::Driver, "start the I/O thread", why.clone())),
    }
}

/// Waits for `work` on the calling thread. A cancel or the deadline drops it where it stands; work that must not be dropped half-way is to be spawned.
pub(crate) fn run<T>(time: TimeBase, wait: &Wait, doing: &str, work: impl Future<Output = Result<T, ChannelError>>) -> Result<T, ChannelError> {
    wait.check(time.now(), doing)?;
    handle()?.block_on(async {
        let ended = async {
            loop {
                match time.slice(wait, doing) {
                    Ok(slice) => tokio::time::sleep(slice).await,
                    Err(e) => return e,
                }
            }
        };
        tokio::select! {
            biased;
            done = work => done,
            e = ended => Err(e),
        }
    })
}

/// Waits for blocking `work` on a thread of its own. On a cancel or at the deadline the thread is left to itself, so `work` must end by itself too.
pub(crate) fn offload<T: Send + 'static>(
    time: TimeBase,
    wait: &Wait,
    doing: &str,
    work: impl FnOnce() -> Result<T, ChannelError> + Send + 'static,
) -> Result<T, ChannelError> {
    wait.check(time.now(), doing)?;
    let (tell, told) = sync_channel(1);
    std::thread::Builder::new()
        .name("proofbench-call".to_owned())
        // Who stopped waiting does not want the answer.
        .spawn(move || drop(tell.send(work())))
        .map_err(|e| ChannelError::caused(ErrorKind::Driver, doing, e))?;
    loop {
        match told.recv_timeout(time.slice(wait, doing)?) {
            Ok(done) => return done,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ChannelError::caused(ErrorKind::Driver, doing, "its thread panicked")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_channel::Cancel;
    use std::time::Duration;

    fn within(time: TimeBase, d: Duration) -> Wait {
        Wait::until(time.now() + d, &Cancel::new())
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn what_the_work_brings_is_passed_on() {
        let time = TimeBase::real();
        assert_eq!(run(time, &within(time, LONG), "work", async { Ok(7) }).unwrap(), 7);
        assert_eq!(offload(time, &within(time, LONG), "work", || Ok(8)).unwrap(), 8);
    }

    #[test]
    fn work_that_hangs_ends_at_the_deadline() {
        let time = TimeBase::real();
        let e = run::<()>(time, &within(time, SHORT), "work", std::future::pending()).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Timeout);
        let e = offload::<()>(time, &within(time, SHORT), "work", || {
            loop {
                std::thread::park()
            }
        })
        .unwrap_err();
        assert_eq!(e.kind, ErrorKind::Timeout);
    }

    #[test]
    fn a_cancelled_wait_starts_no_work() {
        let time = TimeBase::real();
        let wait = within(time, LONG);
        wait.cancel.cancel();
        let e = offload::<()>(time, &wait, "work", || panic!("started")).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Cancelled);
        assert_eq!(run::<()>(time, &wait, "work", async { panic!("started") }).unwrap_err().kind, ErrorKind::Cancelled);
    }

    #[test]
    fn work_that_panics_is_an_error() {
        let time = TimeBase::real();
        assert_eq!(offload::<()>(time, &within(time, LONG), "work", || panic!("broken on purpose")).unwrap_err().kind, ErrorKind::Driver);
    }
}
