//! Negative controls: things done once a run, and reference devices with known defects.

use super::{Bench, BenchSetup};
use crate::sink::NullSink;
use crate::trouble::Trouble;
use proofbench_channel::ChannelError;
use proofbench_model::dossier::Dossier;
use proofbench_rig::{Channels, Permissions};
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A reference device: open channels, without power, and its dossier.
pub struct ReferenceRig {
    /// Its channels.
    pub channels: Channels,
    /// Its dossier.
    pub dossier: Arc<Dossier>,
}

type Open = dyn Fn(&[&str], u64) -> Result<ReferenceRig, ChannelError>;

/// Makes reference devices. Clones share what was found out on them, because that depends on nothing else.
#[derive(Clone)]
pub struct ReferenceFactory {
    open: Rc<Open>,
    memo: Memo,
}

impl ReferenceFactory {
    /// A factory whose `open` makes a reference device with these named defects, from this seed.
    pub fn new(open: impl Fn(&[&str], u64) -> Result<ReferenceRig, ChannelError> + 'static) -> Self {
        Self { open: Rc::new(open), memo: Memo::default() }
    }
}

/// What was done once. Clones share.
#[derive(Clone, Default)]
pub struct Memo(Rc<RefCell<BTreeMap<String, Box<dyn Any>>>>);

impl Bench {
    /// Does something once in the whole run: the first success is kept under the key, across checks. A failure is not kept.
    pub fn once<T: Clone + 'static>(&mut self, key: &str, f: impl FnOnce(&mut Bench) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let memo = self.memo.clone();
        self.kept_or_done(&memo, key, f)
    }

    /// Like [`Bench::once`] for what is found out on reference devices alone: runs that share a factory share it, whatever device they test.
    pub fn once_on_reference<T: Clone + 'static>(&mut self, key: &str, f: impl FnOnce(&mut Bench) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let memo = self.reference.as_ref().map_or_else(|| self.memo.clone(), |r| r.memo.clone());
        self.kept_or_done(&memo, key, f)
    }

    fn kept_or_done<T: Clone + 'static>(&mut self, memo: &Memo, key: &str, f: impl FnOnce(&mut Bench) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let kept = memo.0.borrow().get(key).map(|any| any.downcast_ref::<T>().cloned());
        match kept {
            Some(Some(value)) => return Ok(value),
            Some(None) => return Err(Trouble::Harness(format!("`{key}` was kept with another type"))),
            None => {}
        }
        let value = f(self)?;
        memo.0.borrow_mut().insert(key.to_owned(), Box::new(value.clone()));
        Ok(value)
    }

    /// A fresh bench on the built-in emulated reference device with these defects. It journals nothing, grants everything, and has the same check,
    /// seed and stop handles.
    pub fn reference(&mut self, defects: &[&str]) -> Result<Bench, Trouble> {
        let factory = self.reference.clone().ok_or_else(|| Trouble::Tool("no reference device is built in".to_owned()))?;
        let rig = (factory.open)(defects, self.run_seed)?;
        let mut bench = Bench::new(BenchSetup {
            channels: rig.channels,
            permissions: Permissions::all(),
            dossier: rig.dossier,
            sink: Box::new(NullSink),
            seed: self.run_seed,
            stop: self.stop.clone(),
            reference: Some(factory),
            only_cut: None,
            profile: self.profile,
        })?;
        bench.current = self.current.as_ref().map(super::Current::for_reference);
        bench.quiet(true);
        Ok(bench)
    }
}
