//! A switched board for tests: its process, its ports, its switch.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// An upper bound of every wait; nothing is measured by it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Ends with its test: the supervisor when its standard input does, and the device with it.
pub struct Switched {
    pub dir: tempfile::TempDir,
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    pub ready: Value,
    switch: BufReader<TcpStream>,
}

impl Switched {
    /// Off; its flash as it left the factory.
    pub fn new(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_proofbench-board"));
        command.arg("--switched").arg("--parent-pipe").args(arguments).arg("--dir").arg(dir.path());
        command.arg("--image").arg(crate::bench::image("1.2.0.bin"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        let switch = connect(port_of(&ready, "switch"));
        Self { dir, stdin: child.stdin.take(), child, switch: BufReader::new(switch), ready }
    }

    /// On, and past its login prompt, which the terminal has seen.
    pub fn on(arguments: &[&str]) -> (Self, Terminal) {
        let mut board = Self::new(arguments);
        let terminal = board.power_on();
        (board, terminal)
    }

    pub fn power_on(&mut self) -> Terminal {
        assert_eq!(self.ask("on"), "ok");
        let mut terminal = self.terminal();
        terminal.expect("login: ");
        terminal
    }

    pub fn port(&self, name: &str) -> u16 {
        port_of(&self.ready, name)
    }

    /// One command to the switch, one answer.
    pub fn ask(&mut self, command: &str) -> String {
        self.switch.get_mut().write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        self.switch.read_line(&mut answer).unwrap();
        answer.trim_end_matches('\n').to_owned()
    }

    /// Asks again and again until the answer is this.
    pub fn until(&mut self, command: &str, answer: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.ask(command);
            if said == answer {
                return;
            }
            assert!(Instant::now() < until, "`{command}` says `{said}` and never `{answer}`");
            std::thread::yield_now();
        }
    }

    pub fn rail(&mut self) -> u32 {
        self.ask("rail").parse().unwrap()
    }

    /// The console's terminal.
    pub fn terminal(&self) -> Terminal {
        let path = self.dir.path().join("console");
        let port = serialport::new(path.to_string_lossy(), 115_200).timeout(PATIENCE).open().unwrap();
        Terminal(Box::new(port))
    }

    /// The console over raw TCP.
    pub fn raw(&self) -> Terminal {
        Terminal(Box::new(connect(self.port("raw"))))
    }

    pub fn link(&self, name: &str) -> Option<PathBuf> {
        std::fs::read_link(self.dir.path().join(name)).ok()
    }

    pub fn flash(&self) -> Vec<u8> {
        std::fs::read(self.dir.path().join("flash.bin")).unwrap()
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}

fn port_of(ready: &Value, name: &str) -> u16 {
    ready[name].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_else(|| panic!("no port {name} in {ready}"))
}

pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether the other end hangs up without a word.
pub fn hangs_up(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(0) => true,
        Ok(_) => false,
        // Hung up on before it was taken.
        Err(e) => e.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Anything that carries a console.
pub trait Line: Read + Write {}
impl<T: Read + Write> Line for T {}

/// A console at one of its ends.
pub struct Terminal(pub Box<dyn Line>);

impl Terminal {
    pub fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// What the device says, up to and with `text`.
    pub fn expect(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut said = String::new();
        while !said.ends_with(text) {
            let mut byte = [0];
            match self.0.read(&mut byte) {
                Ok(1) => said.push(char::from(byte[0])),
                Ok(_) => panic!("hung up after {said:?}, waiting for {text:?}"),
                Err(e) => panic!("{e} after {said:?}, waiting for {text:?}"),
            }
            assert!(Instant::now() < until && said.len() < 100_000, "never said {text:?}, but {said:?}");
        }
        said
    }
}
