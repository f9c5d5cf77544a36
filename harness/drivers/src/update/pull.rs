//! Images that the device fetches: the harness serves the image and a manifest by HTTP and sees what is taken.
//!
//! Between two images there is nothing to fetch (404). `chunk` puts an image up and waits for the device to come:
//!
//! | what the device does until the deadline | answer |
//! | --- | --- |
//! | fetches every byte, in one piece or in ranges | accepted |
//! | fetches ranges from the first byte on, and not all | accepted, up to there: it wants the rest |
//! | does not come, looks at the manifest only, breaks every transfer off | silent |
//!
//! That a device looked at the manifest and took no image is no refusal: it may be slow. Refusals are not to be had by this path; what runs afterwards
//! is what counts. After an answer of silence the image is taken down, so that a late device does not get it while another check is under way; after
//! the others it stays up until the next one, for a device that fetches twice.
//!
//! **Fetched** means taken: each connection carries one answer, the server ends its side behind it, and the bytes count when the device has ended its side
//! too. A device that loses power or resets the connection has taken nothing of that answer, however much of it was on the wire.
//!
//! The manifest is JSON with `version`, `length`, `sha256` and `url`, or a template of the user's in which `{version}`, `{length}`, `{sha256}` and `{url}` are
//! filled in. The version is read from the header of MCUboot images and is empty for others. The URL has the address at which the device reached the
//! server, unless the rig says another one.
//!
//! Nothing else can be asked: state, marks, erase and restart are `Unsupported`. Every request goes into the journal with its time.
//!
//! Run against: Debian's curl 7.88.1 (whole, ranges, broken off, resumed), TCP peers of the tests. Not run against a real device.

mod offer;
mod server;
#[cfg(test)]
mod tests;

use super::{cannot, end_of, whole};
use crate::{TimeBase, runtime};
use offer::Offer;
use proofbench_channel::{Answer, ChannelError, Chunk, ErrorKind, ImageState, Intake, Moment, SmpReply, SmpRequest, UpdatePath, Wait};
use server::{Server, Shared};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What is served, and where.
#[derive(Debug, Clone)]
pub struct PullSetup {
    /// Address and port to listen at; port 0 is any that is free.
    pub listen: SocketAddr,
    /// What the URL of the image begins with, where the device reaches the server under another address: `http://192.0.2.1:8080`.
    pub base: Option<String>,
    /// Path of the manifest.
    pub manifest: String,
    /// Path of the image.
    pub image: String,
    /// The user's own manifest.
    pub template: Option<String>,
    /// Longest bench time until the device has come and fetched.
    pub within: Duration,
    /// The rig's time line.
    pub time: TimeBase,
}

/// An update server. It listens from now on, and until it is dropped. `Refused` if the address is taken or forbidden, `Disconnected` if this machine has
/// no such address.
pub fn open(setup: PullSetup) -> Result<Box<dyn UpdatePath>, ChannelError> {
    Ok(Box::new(Pull::open(setup)?))
}

struct Pull {
    setup: PullSetup,
    server: Server,
}

impl Pull {
    fn open(setup: PullSetup) -> Result<Self, ChannelError> {
        let server = Server::start(&setup)?;
        Ok(Self { setup, server })
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.server.shared
    }
}

impl UpdatePath for Pull {
    fn state(&mut self, _: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        cannot("list images", "an update server")
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError> {
        let image = whole(chunk, "an update server")?;
        let doing = "wait for the device to fetch an image";
        wait.check(self.setup.time.now(), doing)?;
        let shared = Arc::clone(self.shared());
        shared.offer(Some(Offer::new(image)));
        let taken = runtime::run(self.setup.time, wait, doing, async {
            shared.whole().await;
            Ok(())
        });
        match taken {
            Ok(()) => return Ok(Answer::Accepted(end_of(image))),
            Err(e) if e.kind == ErrorKind::Timeout => {}
            Err(e) => {
                shared.offer(None);
                return Err(e);
            }
        }
        let taken = shared.taken();
        if taken == 0 {
            shared.offer(None);
            return Ok(Answer::Silent);
        }
        Ok(Answer::Accepted(taken))
    }

    fn intake(&self) -> Intake {
        Intake::Whole
    }

    fn longest(&self, _: usize) -> Duration {
        self.setup.within
    }

    fn mark(&mut self, _: Option<&[u8]>, _: bool, _: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        cannot("mark an image", "an update server")
    }

    fn erase(&mut self, _: &Wait) -> Result<Answer<()>, ChannelError> {
        cannot("erase a slot", "an update server")
    }

    fn restart(&mut self, _: &Wait) -> Result<Answer<()>, ChannelError> {
        cannot("restart the device", "an update server")
    }

    fn smp(&mut self, _: &SmpRequest, _: &Wait) -> Result<Answer<SmpReply>, ChannelError> {
        cannot("send an SMP request", "an update server")
    }

    fn remarks(&mut self) -> Vec<(Moment, String)> {
        self.shared().remarks()
    }

    fn describe(&self) -> String {
        format!("update server at {} ({}, {})", self.server.address, self.setup.manifest, self.setup.image)
    }
}
