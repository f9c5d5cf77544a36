//! A patch cable: TCP between a client and a server, until a test pulls it out.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A port of this machine that is joined to another, connection by connection. Pulled out, all connections end and new ones find nobody.
pub struct Patch {
    port: u16,
    pulled: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Patch {
    /// A cable to this port of this machine.
    pub fn to(server: u16) -> Patch {
        Self::plug(server).expect("a port of this machine")
    }

    fn plug(server: u16) -> io::Result<Patch> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let (pulled, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let patch = Patch { port, pulled: Arc::clone(&pulled), open: Arc::clone(&open) };
        std::thread::spawn(move || {
            // The connection that wakes this thread up after the cable was pulled is the last one.
            while let Ok((near, _)) = listener.accept() {
                let mut open = lock(&open);
                if pulled.load(Ordering::SeqCst) {
                    return;
                }
                // Nobody at the other end: the client sees a connection that ends.
                if let Ok(ends) = join(&near, server) {
                    open.extend(ends);
                }
            }
        });
        Ok(patch)
    }

    /// Where a client connects.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Pulls the cable out, for good.
    pub fn pull(&self) {
        let mut open = lock(&self.open);
        self.pulled.store(true, Ordering::SeqCst);
        for stream in open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(open);
        // Wakes the thread that accepts; with it the port closes.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Drop for Patch {
    fn drop(&mut self) {
        self.pull();
    }
}

fn lock(open: &Mutex<Vec<TcpStream>>) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Joins a connection to the server, both ways. Gives back handles of both, by which they can be ended.
fn join(near: &TcpStream, server: u16) -> io::Result<[TcpStream; 2]> {
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    for (from, to) in [(near, &far), (&far, near)] {
        from.set_nodelay(true)?;
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        std::thread::spawn(move || wire(from, to));
    }
    Ok([near.try_clone()?, far])
}

fn wire(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(n) = from.read(&mut buffer) {
        if n == 0 || to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    // One end has gone: so has the other.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
