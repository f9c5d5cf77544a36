//! placeholder
use super::{Said, Survey, SurveyJob};
/// placeholder
pub struct DapFault(pub Said);
/// placeholder
pub trait Dap {}
/// placeholder
pub fn survey(_dap: &mut dyn Dap, _job: &SurveyJob) -> Option<Survey> {
    None
}
