//! Which act is disturbed and what may come of it, built from the bindings of the dossier and from undisturbed runs of this very device.

use super::campaign::{Plan, SETTLE, boot_once, look, prepare, recorded, undisturbed, world};
use super::content::Content;
use super::explore::Facts;
use super::observe::{Named, Watchlist};
use super::oracle::{Key, Story, World};
use super::stimulus::{Image, Step, Stimulus};
use proofbench_channel::OpKind;
use proofbench_image::Format;
use proofbench_model::bind::{Action, Credential};
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Capability, Trouble};
use sha2::{Digest, Sha256};
use std::rc::Rc;
use std::time::Duration;

/// What the device is doing when its power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Taking an image over the update path.
    Install,
    /// Exchanging the images and starting the new one for the first time; then, unconfirmed, going back.
    Swap,
    /// Going back from an image that nobody confirmed.
    Revert,
    /// Keeping the new image.
    Confirm,
    /// Writing settings.
    Settings,
    /// Writing the user's data.
    UserData,
    /// Changing the user's credential.
    Credential,
    /// Counting.
    Counter,
    /// Deleting the user's data by the route of this row of 25-DelFunc.
    Reset(usize),
    /// Nothing but starting.
    Idle,
}

impl Act {
    /// The plan of this act on the device of this bench, which is running.
    pub fn plan(self, bench: &mut Bench) -> Result<Plan, Trouble> {
        bench.power_off()?;
        let base = Content::keep(bench)?;
        let ground = Ground::survey(bench, base)?;
        match self {
            Act::Install => ground.install(bench),
            Act::Swap => ground.swap(bench),
            Act::Revert => ground.revert(bench),
            Act::Confirm => ground.confirm(bench),
            Act::Settings => ground.stores(bench, false),
            Act::UserData => ground.stores(bench, true),
            Act::Credential => ground.credential_change(bench),
            Act::Counter => ground.counter(bench),
            Act::Reset(route) => ground.reset_plan(bench, route),
            Act::Idle => ground.idle(bench),
        }
    }
}

/// What all plans start from.
struct Ground {
    base: Content,
    watch: Watchlist,
    credential: Option<Credential>,
    /// The running image, the one after it, the one after that.
    next: Vec<Rc<Image>>,
    genuine: std::collections::BTreeMap<String, u32>,
    reset: Option<Action>,
    /// A token of the owner, once there is one.
    token: Option<String>,
    boot_ops: u32,
}

/// Steps of one batch while a store is filled until it has to tidy itself up.
const BATCH: usize = 24;
/// Batches after which a store that never tidied itself up is taken as it is.
const BATCHES: usize = 16;

impl Ground {
    fn survey(bench: &mut Bench, base: Content) -> Result<Ground, Trouble> {
        let mut images = Vec::new();
        let binding = bench.dossier().ixit.rows(7).iter().find_map(|r| r.upd()).cloned();
        let mut genuine = std::collections::BTreeMap::new();
        if let Some(upd) = &binding {
            for file in &upd.images {
                let bytes = bench.image(&file.file)?;
                genuine.insert(file.version.clone(), file.counter);
                let hash = match Format::named(&upd.format) {
                    Some(Format::Mcuboot) => proofbench_image::Image::parse(&bytes).ok().map(|i| i.digest()),
                    Some(Format::Opaque) => Some(Sha256::digest(&bytes).into()),
                    None => None,
                };
                images.push(Rc::new(Image { version: file.version.clone(), counter: file.counter, hash, bytes }));
            }
        }
        let watch = Watchlist::of(bench, &images);
        let running = prepare_version(bench, &base)?;
        let next = match images.iter().position(|i| Some(&i.version) == running.as_ref()) {
            Some(at) => images[at..].iter().take(3).cloned().collect(),
            None => Vec::new(),
        };
        let without_token = |a: &Action| match a {
            Action::Console(c) => !c.send.contains('{'),
            _ => false,
        };
        let reset = bench.dossier().ixit.rows(25).iter().filter_map(|r| r.del()).map(|d| d.start.clone()).find(without_token);
        Ok(Ground { base, watch, credential: bench.credential().cloned(), next, genuine, reset, token: None, boot_ops: 0 })
    }

    fn plan(self, stimulus: Stimulus, base: Content, worlds: Vec<World>, after_ack: Vec<Facts>) -> Plan {
        Plan {
            stimulus,
            base,
            found: self.base,
            story: Story { worlds, genuine: self.genuine },
            after_ack,
            further: self.next.get(2).cloned(),
            watch: self.watch,
            credential: self.credential,
            reset: self.reset,
            boot_ops: self.boot_ops,
            rewrite: Vec::new(),
        }
    }

    fn new_image(&self) -> Result<Rc<Image>, Trouble> {
        self.next.get(1).cloned().ok_or_else(|| Trouble::IxitMissing("[UpdMech.bind] images: an image that is newer than the running one".to_owned()))
    }

    /// The content in which the new image waits to be tried at the next boot.
    fn staged(&self, bench: &mut Bench) -> Result<Content, Trouble> {
        if !bench.has(Capability::UpdatePath) {
            return Err(Trouble::Capability(Capability::UpdatePath));
        }
        let stimulus = installing(self.new_image()?);
        undisturbed(bench, &self.base, &stimulus, 1, true)
    }

    /// Old image kept; new image on trial: what an update may end in before anybody confirms it.
    fn update_worlds(&mut self, bench: &mut Bench, staged: &Content) -> Result<Vec<World>, Trouble> {
        let new = self.new_image()?;
        let old = world(bench, &self.watch, "the old image runs", &self.base, &[0])?;
        let mut trial = world(bench, &self.watch, "the new image runs on trial", staged, &[0, 1])?;
        let end = boot_once(bench, staged)?;
        let seen = look(bench, &self.watch, staged, &end)?.unwrap_or_default();
        if seen.get(&Key::Version) != Some(&new.version) {
            return Err(Trouble::Precondition(format!("undisturbed, the update to {} does not run: {:?}", new.version, seen.get(&Key::Version))));
        }
        // A design that keeps the old image beside the one on trial promises it for every trial.
        if let Some(other) = seen.get(&Key::OtherImage).filter(|o| *o == &self.next[0].version) {
            trial = trial.with(Key::OtherImage, [other.clone()]);
        }
        if bench.has(Capability::CrashSpace) {
            self.boot_ops = recorded(bench, staged, &booting("swap"), 1, true)?;
            // That the way back works is for the campaign to find out, not a precondition of it.
            match recorded(bench, &end, &booting("revert"), 1, true) {
                Ok(back) => self.boot_ops = self.boot_ops.max(back),
                Err(Trouble::Precondition(_)) => bench.power_off()?,
                Err(other) => return Err(other),
            }
        }
        Ok(vec![old, trial])
    }

    fn install(mut self, bench: &mut Bench) -> Result<Plan, Trouble> {
        let staged = self.staged(bench)?;
        let worlds = self.update_worlds(bench, &staged)?;
        let stimulus = installing(self.new_image()?);
        let base = self.base.clone();
        Ok(self.plan(stimulus, base, worlds, vec![0b11, 0b11]))
    }

    fn swap(mut self, bench: &mut Bench) -> Result<Plan, Trouble> {
        let staged = self.staged(bench)?;
        let worlds = self.update_worlds(bench, &staged)?;
        Ok(self.plan(booting("swap and first boot"), staged, worlds, vec![0b11, 0b11]))
    }

    fn revert(mut self, bench: &mut Bench) -> Result<Plan, Trouble> {
        let staged = self.staged(bench)?;
        let worlds = self.update_worlds(bench, &staged)?;
        let tried = boot_once(bench, &staged)?;
        Ok(self.plan(booting("revert"), tried, worlds, vec![0b01, 0b01]))
    }

    fn confirm(mut self, bench: &mut Bench) -> Result<Plan, Trouble> {
        let staged = self.staged(bench)?;
        let mut worlds = self.update_worlds(bench, &staged)?;
        let stimulus = Stimulus { name: "confirm", running: true, steps: vec![Step::Confirm], settle: SETTLE };
        let confirmed = undisturbed(bench, &staged, &stimulus, 1, true)?;
        let kept = world(bench, &self.watch, "the new image runs and is confirmed", &confirmed, &[2])?;
        if kept.values.get(&Key::Version) != worlds[1].values.get(&Key::Version) {
            return Err(Trouble::Precondition("undisturbed, a confirmed update does not stay".to_owned()));
        }
        worlds.push(kept);
        Ok(self.plan(stimulus, staged, worlds, vec![0b101, 0b100]))
    }

    fn idle(mut self, bench: &mut Bench) -> Result<Plan, Trouble> {
        let base = self.owned(bench)?; // what an unwanted reset would take away must be there
        let calm = world(bench, &self.watch, "nothing has changed", &base, &[0])?;
        Ok(self.plan(booting("idle"), base, vec![calm], vec![1, 1]))
    }

    /// A plan over steps that each lead from one measured world to the next.
    fn chain(self, bench: &mut Bench, stimulus: Stimulus, base: Content) -> Result<Plan, Trouble> {
        let mut worlds = Vec::new();
        let mut after_ack = Vec::new();
        for i in 0..=stimulus.steps.len() {
            let content = undisturbed(bench, &base, &stimulus, i, true)?;
            worlds.push(world(bench, &self.watch, &format!("as after step {i} of {}", stimulus.name), &content, &[i])?);
            after_ack.push(Story::set(&[i, (i + 1).min(stimulus.steps.len())]));
        }
        Ok(self.plan(stimulus, base, worlds, after_ack))
    }

    /// Rows of stores that the user writes and reads back, with their `set`: those that replace their value, or those that collect.
    fn writable(&self, bench: &mut Bench, collecting: bool) -> Result<Vec<(Key, Action)>, Trouble> {
        let kept: Vec<String> = bench.dossier().ixit.rows(23).iter().filter_map(|r| r.res()).flat_map(|r| r.keeps.clone()).collect();
        let mut rows = Vec::new();
        for table in [10, 21] {
            for row in bench.dossier().ixit.rows(table) {
                if let Some(s) = row.store()
                    && s.kind != "identity"
                    && s.kind != "secret"
                    && (kept.is_empty() || kept.contains(&row.id.to_string()))
                    && let (Some(set), Some(get)) = (&s.set, &s.get)
                {
                    rows.push((Key::Store(row.id.to_string()), set.clone(), get.clone()));
                }
            }
        }
        let mut wanted = Vec::new();
        prepare(bench, &self.base, |bench| {
            for (key, set, get) in rows {
                let mut last = None;
                for value in ["probe-1", "probe-2"] {
                    if !bench.perform(&set, &[("value", value)])?.is_done() {
                        break;
                    }
                    if let Did::Done { value, text } = bench.perform(&get, &[])? {
                        last = Some(value.unwrap_or(text));
                    }
                }
                let replaces = last.as_deref() == Some("probe-2");
                if last.is_some() && replaces != collecting {
                    wanted.push((key, set));
                }
            }
            Ok(())
        })?;
        Ok(wanted)
    }

    fn stores(self, bench: &mut Bench, collecting: bool) -> Result<Plan, Trouble> {
        let rows = self.writable(bench, collecting)?;
        if rows.is_empty() {
            return Err(Trouble::IxitMissing("a row of 10-SecParam or 21-PersData with `set` and `get` whose value can be read back".to_owned()));
        }
        let make = |n: usize| Step::of(&rows[n % rows.len()].1, &[("value", &format!("canary-{n}"))]);
        let name = if collecting { "user-data write" } else { "settings write" };
        let mut plan = self.repeated(bench, name, 3, &make)?;
        if !collecting {
            let still = |(key, set): &(Key, Action)| {
                let value = "written-later".to_owned();
                Step::of(set, &[("value", &value)]).map(|step| (key.clone(), step, value))
            };
            plan.rewrite = rows.iter().filter_map(still).collect();
        }
        Ok(plan)
    }

    fn counter(self, bench: &mut Bench) -> Result<Plan, Trouble> {
        let count = bench.bind().act.get("count").cloned();
        let count = count.ok_or_else(|| Trouble::IxitMissing("[bind.act] count of device.toml".to_owned()))?;
        if self.watch.count.is_none() {
            return Err(Trouble::IxitMissing("[bind.act] read-count of device.toml".to_owned()));
        }
        self.repeated(bench, "counter increment", 2, &move |_| Step::of(&count, &[]))
    }

    /// `steps` acts in a row; where the rig can see storage operations, those around the first erase, for a store that tidies itself up does most then.
    fn repeated(self, bench: &mut Bench, name: &'static str, steps: usize, make: &dyn Fn(usize) -> Option<Step>) -> Result<Plan, Trouble> {
        let acts = |from: usize, count: usize| -> Result<Stimulus, Trouble> {
            let steps: Option<Vec<Step>> = (from..from + count).map(make).collect();
            let steps =
                steps.ok_or_else(|| Trouble::IxitAmbiguous("a binding that needs a person or a program cannot be cut at a moment".to_owned()))?;
            Ok(Stimulus { name, running: true, steps, settle: SETTLE })
        };
        let (base, first) = match bench.has(Capability::CrashSpace) {
            true => before_erase(bench, &self.base, &acts)?,
            false => (self.base.clone(), 0),
        };
        let stimulus = acts(first, steps)?;
        let plan = self.chain(bench, stimulus, base)?;
        let first = plan.story.worlds.first().map(|w| &w.values);
        // Control: what is written can be read back. A store that only shows its oldest entry shows it on its first write.
        if !bench.has(Capability::CrashSpace) && plan.story.worlds.last().map(|w| &w.values) == first {
            return Err(Trouble::Precondition(format!("undisturbed, {name} changes nothing that can be read back")));
        }
        Ok(plan)
    }

    fn credential_change(mut self, bench: &mut Bench) -> Result<Plan, Trouble> {
        let change = bench.dossier().ixit.rows(1).iter().filter_map(|r| r.auth()).filter(|a| a.over == "console").find_map(|a| a.change.clone());
        let change = change.ok_or_else(|| Trouble::IxitMissing("a row of 1-AuthMech over the console with `change`".to_owned()))?;
        let label = self.credential.clone().ok_or_else(|| Trouble::IxitMissing("[sample] label of device.toml".to_owned()))?;
        let pair = Credential { user: label.user, secret: "Own-4Secret-92".to_owned() };
        let step = Step::of(&change, &[("secret", &pair.secret)]).ok_or_else(|| {
            Trouble::IxitAmbiguous("a change of the credential that needs a person or a program cannot be cut at a moment".to_owned())
        })?;
        self.watch.credentials.push(Named { name: "new".to_owned(), pair });
        let stimulus = Stimulus { name: "credential change", running: true, steps: vec![step], settle: SETTLE };
        let base = self.base.clone();
        let plan = self.chain(bench, stimulus, base)?;
        if plan.story.worlds[0].values == plan.story.worlds[1].values {
            return Err(Trouble::Precondition("undisturbed, changing the credential changes nothing".to_owned()));
        }
        Ok(plan)
    }

    /// A device in use: the owner's values in every store, a token, and a credential of the owner's own.
    fn owned(&mut self, bench: &mut Bench) -> Result<Content, Trouble> {
        let stores = self.writable(bench, false)?.into_iter().chain(self.writable(bench, true)?).collect::<Vec<_>>();
        let auth: Vec<_> = bench.dossier().ixit.rows(1).iter().filter_map(|r| r.auth().map(|a| (r.id.to_string(), a.clone()))).collect();
        let label = self.credential.clone();
        let mut own = label.clone().map(|l| Credential { user: l.user, secret: "Own-4Secret-92".to_owned() });
        let mut token = None;
        let base = prepare(bench, &self.base, |bench| {
            for (n, (_, set)) in stores.iter().enumerate() {
                bench.perform(set, &[("value", &format!("owner-{n}"))])?;
            }
            for (row, a) in &auth {
                if let (Some(issue), Some(check)) = (&a.issue, &a.check)
                    && let Did::Done { value: Some(value), .. } = bench.perform(issue, &[])?
                {
                    token = Some((row.clone(), check.clone(), value));
                }
            }
            let change = auth.iter().filter(|(_, a)| a.over == "console").find_map(|(_, a)| a.change.clone());
            let changed = match (&change, &own) {
                (Some(change), Some(own)) => bench.perform(change, &[("secret", &own.secret)])?.is_done(),
                _ => false,
            };
            if !changed {
                own = None;
            }
            Ok(())
        })?;
        if let Some(pair) = own {
            self.watch.credentials.push(Named { name: "owner".to_owned(), pair: pair.clone() });
            bench.set_credential(pair.clone());
            self.credential = Some(pair);
        }
        if let Some((row, check, value)) = token
            && let Some(check) = filled(&check, &value)
        {
            self.token = Some(value);
            self.watch.tokens.push((Key::Token(row), check));
        }
        Ok(base)
    }

    fn reset_plan(mut self, bench: &mut Bench, route: usize) -> Result<Plan, Trouble> {
        let row = bench.dossier().ixit.rows(25).iter().filter_map(|r| r.del()).nth(route).map(|d| d.start.clone());
        let row = row.ok_or_else(|| Trouble::IxitMissing("a row of 25-DelFunc with a binding".to_owned()))?;
        let base = self.owned(bench)?;
        let token = self.token.clone().unwrap_or_default();
        let step = match (&row, Step::of(&row, &[("token", &token)])) {
            (Action::Button(_), _) if !bench.has(Capability::Fixture) => return Err(Trouble::Capability(Capability::Fixture)),
            (Action::Smp(_), _) if !bench.has(Capability::UpdatePath) => return Err(Trouble::Capability(Capability::UpdatePath)),
            (_, Some(step)) => step,
            (_, None) => return Err(Trouble::Human("a deletion that needs a person or a program cannot be cut at a moment".to_owned())),
        };
        let stimulus = Stimulus { name: "factory reset", running: true, steps: vec![step], settle: Duration::from_secs(4) };
        let mut plan = self.chain(bench, stimulus, base)?;
        plan.reset = None; // the recovered device of a finished reset has another credential; L3 is asked with the update alone
        if plan.story.worlds[0].values == plan.story.worlds[1].values {
            return Err(Trouble::Precondition("undisturbed, the factory reset changes nothing that can be asked".to_owned()));
        }
        Ok(plan)
    }
}

fn filled(action: &Action, token: &str) -> Option<Action> {
    match Step::of(action, &[("token", token)])? {
        Step::Console(c) => Some(Action::Console(c)),
        Step::Smp(s) => Some(Action::Smp(s)),
        _ => None,
    }
}

fn installing(image: Rc<Image>) -> Stimulus {
    Stimulus { name: "installation", running: true, steps: vec![Step::Install(image)], settle: SETTLE }
}

fn booting(name: &'static str) -> Stimulus {
    Stimulus { name, running: false, steps: vec![Step::Boot], settle: SETTLE }
}

fn prepare_version(bench: &mut Bench, base: &Content) -> Result<Option<String>, Trouble> {
    if !bench.can_ask("version") {
        return Ok(None);
    }
    let mut version = None;
    prepare(bench, base, |bench| {
        version = Some(bench.ask("version")?);
        Ok(())
    })?;
    Ok(version)
}

/// Acts until the storage is about to be erased: the content one act before, and the number of that act. The content as it is if no act ever erases.
fn before_erase(bench: &mut Bench, base: &Content, acts: &dyn Fn(usize, usize) -> Result<Stimulus, Trouble>) -> Result<(Content, usize), Trouble> {
    let mut content = base.clone();
    let mut done = 0;
    for _ in 0..BATCHES {
        if let Some(erases) = erasing(bench, &content, &acts(done, BATCH)?)? {
            if erases {
                return within_batch(bench, content, done, acts);
            }
        } else {
            break; // the device takes no more of it: full, or it has a limit
        }
        content = Content::keep(bench)?;
        done += BATCH;
    }
    Ok((undisturbed(bench, base, &acts(0, 1)?, 1, true)?, 1))
}

/// The number of acts in this batch after which the next one erases, by halving.
fn within_batch(
    bench: &mut Bench,
    content: Content,
    done: usize,
    acts: &dyn Fn(usize, usize) -> Result<Stimulus, Trouble>,
) -> Result<(Content, usize), Trouble> {
    let (mut none, mut some) = (0, BATCH);
    while some - none > 1 {
        let half = usize::midpoint(none, some);
        match erasing(bench, &content, &acts(done, half)?)? {
            Some(true) => some = half,
            _ => none = half,
        }
    }
    let before = none.saturating_sub(1);
    let content = if before == 0 { content } else { undisturbed(bench, &content, &acts(done, before)?, before, true)? };
    Ok((content, done + before))
}

/// Whether these acts erase anything; none if the device does not do them all. The device is left without power, the acts done.
fn erasing(bench: &mut Bench, from: &Content, stimulus: &Stimulus) -> Result<Option<bool>, Trouble> {
    from.put(bench)?;
    stimulus.prelude(bench)?;
    bench.crash()?.record()?;
    let done = stimulus.carry_out(bench, stimulus.steps.len(), None)?;
    bench.sleep(stimulus.settle)?;
    bench.power_off()?;
    let ops = bench.crash()?.stop()?;
    Ok((done == stimulus.steps.len()).then(|| ops.iter().any(|op| op.kind == OpKind::Erase)))
}
