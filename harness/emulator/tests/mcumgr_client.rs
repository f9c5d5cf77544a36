//! The update port against a client that others wrote: mcumgr-toolkit, unmodified, over a port that moves virtual time.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod bench;

use bench::{Dut, LABEL, MS, V1_1_0, V1_2_0, V1_3_0, hash_of};
use mcumgr_toolkit::MCUmgrClient;
use mcumgr_toolkit::client::FirmwareUpdateParams;
use mcumgr_toolkit::transport::serial::ConfigurableTimeout;
use proofbench_emulator::Uart;
use std::io::{Error, ErrorKind, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

enum Ask {
    Write(Vec<u8>),
    Read(usize),
    Line(String),
    Until(&'static str),
}

/// A handle on the device, which lives on a thread of its own, because the client wants a port that can move between threads.
#[derive(Clone)]
struct Port(Arc<Mutex<Talk>>);

/// What is asked of the device, and its answers.
type Talk = (Sender<Ask>, Receiver<Vec<u8>>);

fn serve(asks: &Receiver<Ask>, answers: &Sender<Vec<u8>>) {
    let mut dut = Dut::on(&[]);
    let mut left = Vec::new();
    while let Ok(ask) = asks.recv() {
        let answer = match ask {
            Ask::Write(bytes) => {
                dut.world.write(Uart::Update, &bytes);
                Vec::new()
            }
            Ask::Read(most) => {
                if left.is_empty() && dut.world.advance_until_output(Uart::Update, dut.world.now() + 3_000 * MS) {
                    left = dut.world.take(Uart::Update).map(|(_, b)| b).unwrap_or_default();
                }
                left.drain(..left.len().min(most)).collect()
            }
            Ask::Line(line) => dut.line(&line).into_bytes(),
            Ask::Until(what) => dut.until(&[what]).into_bytes(),
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

/// A port for the client, and one for the console of the same device.
fn device() -> (Port, Port) {
    let (ask, asks) = channel();
    let (answers, answer) = channel();
    std::thread::spawn(move || serve(&asks, &answers));
    let port = Port(Arc::new(Mutex::new((ask, answer))));
    (port.clone(), port)
}

impl Port {
    fn ask(&self, ask: Ask) -> Vec<u8> {
        let device = self.0.lock().unwrap();
        device.0.send(ask).unwrap();
        device.1.recv().unwrap()
    }
    fn text(&self, ask: Ask) -> String {
        String::from_utf8_lossy(&self.ask(ask)).into_owned()
    }
}

impl Read for Port {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.ask(Ask::Read(into.len()));
        if bytes.is_empty() {
            return Err(Error::from(ErrorKind::TimedOut));
        }
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.ask(Ask::Write(bytes.to_vec()));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl ConfigurableTimeout for Port {
    fn set_timeout(&mut self, _: Duration) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

#[test]
fn its_requests_are_answered() {
    let (port, _console) = device();
    let client = MCUmgrClient::new_from_serial(port);
    client.check_connection().unwrap();
    client.use_auto_frame_size().unwrap();
    assert_eq!(client.os_echo("hello").unwrap(), "hello");
    assert_eq!(client.os_mcumgr_parameters().unwrap().buf_size, 2048);
    let images = client.image_get_state().unwrap();
    assert_eq!((images.len(), images[0].slot, images[0].version.as_str()), (1, 0, "1.2.0+0"));
    assert!(images[0].active && images[0].confirmed && images[0].bootable);
    assert_eq!(images[0].hash.as_deref(), Some(&hash_of(V1_2_0)[..]));
    assert_eq!(client.image_slot_info().unwrap()[0].slots.len(), 2);
    let refused = client.os_task_statistics().unwrap_err();
    assert!(refused.command_not_supported(), "{refused:?}");
}

#[test]
fn its_upload_is_taken_in_small_and_large_frames_and_an_older_image_is_refused() {
    for frame in [150, 384, 2048] {
        let (port, _console) = device();
        let client = MCUmgrClient::new_from_serial(port);
        client.set_frame_size(frame);
        client.image_upload(V1_1_0, None, None, false, None).unwrap();
        let error = client.image_set_state(Some(&hash_of(V1_1_0)), false).unwrap_err();
        assert!(format!("{error:?}").contains("rc: 27"), "frame {frame}: {error:?}");
        client.image_erase(None).unwrap();
        assert_eq!(client.image_get_state().unwrap().len(), 1);
        client.image_upload(V1_3_0, None, None, true, None).unwrap();
        let images = client.image_set_state(Some(&hash_of(V1_3_0)), false).unwrap();
        assert!(images[1].pending && !images[1].permanent);
    }
}

#[test]
fn its_whole_update_goes_through_and_can_be_confirmed() {
    let (port, console) = device();
    let client = MCUmgrClient::new_from_serial(port);
    client.firmware_update(V1_3_0, None, FirmwareUpdateParams::default(), None).unwrap();
    let log = console.text(Ask::Until("login: "));
    assert!(log.contains("APP th1 1.3.0+0 trial"), "{log}");
    let images = client.image_get_state().unwrap();
    assert!(images[0].active && !images[0].confirmed && images[1].confirmed);
    client.image_set_state(None, true).unwrap();
    console.text(Ask::Line("admin".into()));
    console.text(Ask::Line(LABEL.into()));
    assert!(console.text(Ask::Line("state".into())).contains("version=1.3.0+0 slot=confirmed counter=2 "));
    client.os_system_reset(false, None).unwrap();
    assert!(console.text(Ask::Until("login: ")).contains("APP th1 1.3.0+0 confirmed"));
}
