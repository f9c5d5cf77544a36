//! Firmware's side without a world: a processor on a given flash, and every storage content that a cut can leave.

use crate::defects::Defects;
use crate::flash::{Flash, FlashImage, Medium, rebuild};
use crate::hw::{Cause, Fixed, Hw, Lines, NoInit, Otp, State, Stop};
use crate::keys::Keys;
use proofbench_channel::Tear;
use std::rc::Rc;

/// A processor that has just come on.
pub fn hw(image: &FlashImage, medium: Medium, defects: Defects) -> Hw {
    let mut flash = Flash::new(image.clone(), medium);
    flash.power_on();
    let otp = Otp { unit: 1, serial: "TH1-0001".into(), root_key: [7; 32], label_secret: "labelsecret1".into(), keys: Keys::fixture() };
    let state = State {
        now: 0,
        rng: image.digest() as u64,
        flash,
        ram: NoInit::default(),
        ops: 0,
        fed: 0,
        watchdog: true,
        cause: Cause::PowerOn,
        boot_id: 1,
        tx_free: [0; 2],
        taken: [0; 2],
        polled: [0; 2],
        uart_open: [0; 2],
        breaks: [0; 2],
        net_up: 0,
        net_taken: 0,
        module: crate::hw::net::Module::default(),
        button_polled: 0,
        button_taken: 0,
        secured: true,
    };
    let fixed = Rc::new(Fixed { otp, defects, seed: 1, verified: Default::default() });
    Hw { state, lines: Lines::default(), fixed, cut: None, armed: None }
}

/// What `run` makes of `image`, and every content that a cut in it can leave, torn ones included.
pub fn cuts(
    image: &FlashImage,
    medium: Medium,
    defects: Defects,
    run: impl FnOnce(&mut Hw) -> Result<(), Stop>,
) -> (FlashImage, Vec<(u32, Tear, FlashImage)>) {
    let mut hw = hw(image, medium, defects);
    hw.lines.recorded = Some(Vec::new());
    assert_eq!(run(&mut hw), Ok(()));
    let ops: Vec<_> = hw.lines.recorded.take().into_iter().flatten().map(|(_, op)| op).collect();
    let mut states = Vec::new();
    rebuild(medium, image, &ops, true, &mut |_, _, _| true, &mut |at, tear, image| states.push((at, tear, image)));
    (hw.state.flash.image().clone(), states)
}

/// A flash that the factory programmed, stores only.
pub fn factory(medium: Medium) -> FlashImage {
    let mut image = FlashImage::blank();
    let otp = hw(&image, medium, Defects::NONE).otp().clone();
    for (offset, bytes) in super::factory_stores(&otp) {
        image.put(offset, &bytes);
    }
    medium.adopt(&mut image);
    image
}
