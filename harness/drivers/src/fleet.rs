//! A fleet of which there are labels only: a list that somebody wrote down from several units.

use proofbench_channel::fleet::{Fleet, Played, Step, UnitLabel};
use proofbench_channel::{ChannelError, ErrorKind, Wait};

/// Labels without units.
pub struct Labels(pub Vec<UnitLabel>);

impl Fleet for Labels {
    fn labels(&mut self, _wait: &Wait) -> Result<Vec<UnitLabel>, ChannelError> {
        Ok(self.0.clone())
    }
    fn play(&mut self, _scene: &[Step], _wait: &Wait) -> Result<Vec<Played>, ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "play a scene to a fleet of which there are labels only"))
    }
    fn describe(&self) -> String {
        format!("labels of {} units", self.0.len())
    }
}
