//! Proxies between real programs.

use super::{PATIENCE, http_server, lab, patience, wait_for};
use proofbench_peers::Lab;
use proofbench_peers::proxy::{Corrupt, Flips, ProxySetup, TcpFault, TcpProxy, UdpFault, UdpProxy, Way};
use proofbench_testkit::{Peer, find, free_port, python};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::{NamedTempFile, TempDir};

/// A file that a server offers, a proxy before the server, and curl.
struct Web {
    lab: Lab,
    proxy: TcpProxy,
    curl: std::path::PathBuf,
    content: Vec<u8>,
    _server: Peer,
    _folder: TempDir,
}

fn web(size: u32, setup: impl FnOnce(&mut ProxySetup)) -> Option<Web> {
    let curl = find("curl")?;
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..size).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(folder.path().join("image"), &content).unwrap();
    let (server, at) = http_server(folder.path())?;
    let lab = lab();
    let mut own = ProxySetup::loopback("proxy", at);
    setup(&mut own);
    let proxy = TcpProxy::start(&lab, own).unwrap();
    Some(Web { lab, proxy, curl, content, _server: server, _folder: folder })
}

impl Web {
    fn curl(&self, more: &[&str]) -> Command {
        let mut command = Command::new(&self.curl);
        command.args(["-sS", "--max-time", "60"]).args(more).arg(format!("http://{}/image", self.proxy.address()));
        command
    }

    fn fetch(&self) -> Output {
        self.curl(&[]).output().unwrap()
    }

    /// A connection that has asked for the file, and the proxy knows it.
    fn asked(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.proxy.address()).unwrap();
        stream.write_all(b"GET /image HTTP/1.0\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

#[test]
fn what_passes_is_whole_counted_told_and_captured() {
    let file = NamedTempFile::new().unwrap();
    let capture = super::capture::create(&file, 64 << 20);
    let Some(web) = web(3_000_000, |s| s.capture = Some(capture.clone())) else { return };
    let output = web.fetch();
    assert!(output.status.success() && output.stdout == web.content);
    wait_for(&web.lab, "connection 1 from 127.0.0.1:");
    wait_for(&web.lab, "connection 1: ended");
    let counts = web.proxy.counts();
    assert_eq!((counts.connections, counts.lost), (1, 0));
    assert!(counts.to_device > 3_000_000 && counts.to_service > 20, "{counts:?}");
    capture.finish().unwrap();
    let Some((asked, answered)) = super::capture::streams(file.path(), 0) else { return };
    assert!(asked.starts_with(b"GET /image HTTP/1.1\r\n"));
    assert!(answered.ends_with(&web.content));
    assert_eq!((asked.len() as u64, answered.len() as u64), (counts.to_service, counts.to_device));
    assert_eq!(super::capture::tshark(file.path(), &["-Y", "_ws.malformed || tcp.analysis.flags || tcp.checksum.status == 0"]).unwrap(), "");
}

#[test]
fn a_delay_and_a_rate_hold_bytes_up_and_lose_none() {
    let lab = lab();
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = TcpProxy::start(&lab, ProxySetup::loopback("proxy", service.local_addr().unwrap())).unwrap();
    let mut device = TcpStream::connect(proxy.address()).unwrap();
    let (mut stream, _) = service.accept().unwrap();
    let mut got = [0; 1_000];
    // Far too late and far too slow to be met here by chance; lifted, all of it is there.
    proxy.set(TcpFault::Delay(Duration::from_secs(3_600)));
    device.write_all(&[1; 1_000]).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(stream.read(&mut got).unwrap_err().kind(), ErrorKind::WouldBlock);
    proxy.set(TcpFault::Rate(NonZeroU32::MIN));
    stream.read_exact(&mut got[..1]).unwrap();
    assert!(stream.read_exact(&mut got[1..]).is_err(), "one byte a second");
    assert!(proxy.counts().to_service < 1_000);
    proxy.set(TcpFault::Pass);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    device.write_all(&[2; 2_000]).unwrap();
    device.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_to_end(&mut vec![]).unwrap();
    assert_eq!((proxy.counts().to_service, proxy.counts().lost), (3_000, 0));
}

#[test]
fn what_comes_late_or_slowly_is_whole() {
    let Some(web) = web(100_000, |_| {}) else { return };
    web.proxy.set(TcpFault::Delay(Duration::from_millis(100)));
    assert!(web.fetch().stdout == web.content);
    web.proxy.set(TcpFault::Rate(NonZeroU32::new(400_000).unwrap()));
    assert!(web.fetch().stdout == web.content);
}

#[test]
fn a_slow_reader_holds_the_service_up_instead_of_filling_the_proxy() {
    let lab = lab();
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = TcpProxy::start(&lab, ProxySetup::loopback("proxy", service.local_addr().unwrap())).unwrap();
    let device = TcpStream::connect(proxy.address()).unwrap();
    let (mut stream, _) = service.accept().unwrap();
    proxy.set(TcpFault::Stall);
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let part = vec![0x55; 1 << 16];
    let mut put = 0_usize;
    let held = loop {
        match stream.write(&part) {
            Ok(n) => put += n,
            Err(e) => break e.kind(),
        }
        assert!(put < 256 << 20, "it takes everything");
    };
    assert_eq!(held, ErrorKind::WouldBlock);
    proxy.set(TcpFault::Pass);
    drop(stream);
    let mut got = vec![];
    (&device).read_to_end(&mut got).unwrap();
    assert_eq!(got.len(), put, "what was held up has come");
}

#[test]
fn a_cut_resets_what_is_there_even_if_it_is_lifted_at_once() {
    let Some(web) = web(3_000_000, |_| {}) else { return };
    web.proxy.set(TcpFault::Rate(NonZeroU32::new(1_000).unwrap()));
    let mut stream = web.asked();
    stream.read_exact(&mut [0; 50]).unwrap();
    web.proxy.set(TcpFault::Cut);
    web.proxy.set(TcpFault::Pass);
    assert_eq!(stream.read_to_end(&mut vec![]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    wait_for(&web.lab, "connection 1: cut");
    assert!(web.fetch().stdout == web.content, "lifted");
    web.proxy.set(TcpFault::Cut);
    // curl's numbers of a connection that was reset, and of one that was before curl looked.
    assert!(matches!(web.fetch().status.code(), Some(56 | 7)));
}

#[test]
fn half_open_connections_stay_and_go_on_when_it_is_lifted() {
    let Some(web) = web(1_000, |_| {}) else { return };
    web.proxy.set(TcpFault::Stall);
    let short = web.curl(&["--max-time", "1"]).output().unwrap();
    assert_eq!(short.status.code(), Some(28), "accepted and never answered");
    assert!(short.stdout.is_empty());
    let mut stream = web.asked();
    wait_for(&web.lab, "connection 2 from");
    web.proxy.set(TcpFault::Pass);
    let mut got = vec![];
    stream.read_to_end(&mut got).unwrap();
    assert!(got.ends_with(&web.content));
}

#[test]
fn a_black_hole_takes_one_direction_and_what_it_took_stays_lost() {
    let lab = lab();
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = TcpProxy::start(&lab, ProxySetup::loopback("proxy", service.local_addr().unwrap())).unwrap();
    let mut device = TcpStream::connect(proxy.address()).unwrap();
    let (mut stream, _) = service.accept().unwrap();
    proxy.set(TcpFault::BlackHole(Way::ToService));
    device.write_all(b"lost").unwrap();
    stream.write_all(b"comes").unwrap();
    let mut got = [0; 5];
    device.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"comes");
    while proxy.counts().lost < 4 {
        std::thread::yield_now();
    }
    proxy.set(TcpFault::Pass);
    device.write_all(b"found").unwrap();
    stream.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"found");
    assert_eq!(proxy.counts().lost, 4);
}

#[test]
fn bits_flip_where_they_are_told_to_in_one_direction_only() {
    let Some(web) = web(50_000, |_| {}) else { return };
    let whole = {
        let mut got = vec![];
        web.asked().read_to_end(&mut got).unwrap();
        got
    };
    let last = whole.len() as u64 - 1;
    web.proxy.set(TcpFault::Corrupt(Corrupt { way: Way::ToDevice, flips: Flips::At(vec![(last, 0x81), (last - 30_000, 0x01)]) }));
    let mut wanted = whole.clone();
    wanted[last as usize] ^= 0x81;
    wanted[last as usize - 30_000] ^= 0x01;
    let mut got = vec![];
    web.asked().read_to_end(&mut got).unwrap();
    // The head has the time of day in it.
    assert!(got[got.len() - 50_000..] == wanted[wanted.len() - 50_000..]);
    web.proxy.set(TcpFault::Corrupt(Corrupt { way: Way::ToDevice, flips: Flips::Seeded { seed: 7, one_in: 1_000 } }));
    let mut got = vec![];
    let _ = web.asked().read_to_end(&mut got);
    let changed = got[got.len() - 50_000..].iter().zip(&web.content).filter(|(a, b)| a != b).count();
    assert!((10..150).contains(&changed), "{changed} of about 50");
    wait_for(&web.lab, "corrupts");
}

#[test]
fn the_end_of_one_side_leaves_the_other_going() {
    let lab = lab();
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = TcpProxy::start(&lab, ProxySetup::loopback("proxy", service.local_addr().unwrap())).unwrap();
    let mut device = TcpStream::connect(proxy.address()).unwrap();
    let (mut stream, _) = service.accept().unwrap();
    device.write_all(b"all").unwrap();
    device.shutdown(std::net::Shutdown::Write).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    stream.write_all(b"answer").unwrap();
    drop(stream);
    device.read_to_string(&mut got).unwrap();
    assert_eq!(got, "allanswer");
    wait_for(&lab, "connection 1: ended");
}

#[test]
fn without_a_service_connections_are_reset_and_told() {
    let lab = lab();
    let proxy = TcpProxy::start(&lab, ProxySetup::loopback("proxy", (Ipv4Addr::LOCALHOST, free_port()).into())).unwrap();
    let mut device = TcpStream::connect(proxy.address()).unwrap();
    assert_eq!(device.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    wait_for(&lab, "connection 1: cannot reach 127.0.0.1:");
}

#[test]
fn more_connections_than_there_is_room_for_are_refused_and_dropping_the_handle_ends_all() {
    let lab = lab();
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let setup = ProxySetup { most: 2, ..ProxySetup::loopback("proxy", service.local_addr().unwrap()) };
    let proxy = TcpProxy::start(&lab, setup).unwrap();
    let mut kept: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(proxy.address()).unwrap()).collect();
    wait_for(&lab, "connection 2 from");
    let mut third = TcpStream::connect(proxy.address()).unwrap();
    assert_eq!(third.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    wait_for(&lab, "2 connections are there");
    let address = proxy.address();
    drop(proxy);
    for stream in &mut kept {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(!matches!(stream.read(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock), "closed");
    }
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < until, "it still listens");
    }
}

/// A Python program that sends every datagram back, and where.
fn echo(script_end: &str) -> Option<(Peer, SocketAddr)> {
    let python = python(&["socket"])?;
    let script = format!(
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0)); print('ready', s.getsockname()[1]){script_end}"
    );
    let mut peer = Peer::start(Command::new(python).args(["-u", "-c", &script]));
    let port = peer.ready();
    Some((peer, (Ipv4Addr::LOCALHOST, port).into()))
}

const ECHO: &str = "\nwhile True: s.sendto(*s.recvfrom(65535))";

fn device(at: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(at).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn exchange(device: &UdpSocket, bytes: &[u8]) -> Vec<u8> {
    device.send(bytes).unwrap();
    let mut buffer = vec![0; 65_535];
    let n = device.recv(&mut buffer).unwrap();
    buffer.truncate(n);
    buffer
}

#[test]
fn datagrams_go_both_ways_each_peer_for_itself_and_into_the_capture() {
    let Some((_peer, at)) = echo(ECHO) else { return };
    let lab = lab();
    let file = NamedTempFile::new().unwrap();
    let capture = super::capture::create(&file, 1 << 20);
    let setup = ProxySetup { most: 2, capture: Some(capture.clone()), ..ProxySetup::loopback("proxy", at) };
    let proxy = UdpProxy::start(&lab, setup).unwrap();
    let (one, two) = (device(proxy.address()), device(proxy.address()));
    assert_eq!(exchange(&one, b"one"), b"one");
    assert_eq!(exchange(&two, &[2; 60_000]), [2; 60_000]);
    assert_eq!(exchange(&one, b""), b"");
    device(proxy.address()).send(b"three").unwrap();
    wait_for(&lab, "other new peers: 2 are there");
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.to_service, counts.to_device), (2, 60_003, 60_003));
    capture.finish().unwrap();
    let Some(bad) = super::capture::tshark(file.path(), &["-Y", "_ws.malformed || udp.checksum.status == 0"]) else { return };
    assert_eq!(bad, "");
    assert_eq!(super::capture::tshark(file.path(), &["-Y", "udp"]).unwrap().lines().count(), 6);
}

#[test]
fn the_same_seed_drops_the_same_datagrams() {
    let Some((_peer, at)) = echo(ECHO) else { return };
    let run = |seed| {
        let lab = lab();
        let proxy = UdpProxy::start(&lab, ProxySetup::loopback("proxy", at)).unwrap();
        let device = device(proxy.address());
        proxy.set(UdpFault::Drop { seed, per_mille: 300, way: Way::ToService });
        // The next is sent only when it is known what became of the one before.
        (0..100_u8).map(|n| sent(&lab, &proxy, &device, n)).collect::<Vec<bool>>()
    };
    let first = run(1);
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
    let dropped = first.iter().filter(|came| !**came).count();
    assert!((15..50).contains(&dropped), "{dropped} of about 30");
}

/// Sends a datagram and says whether it came back; the proxy tells if it did not.
fn sent(lab: &Lab, proxy: &UdpProxy, device: &UdpSocket, n: u8) -> bool {
    let (lost, back) = (proxy.counts().lost, proxy.counts().to_device);
    device.send(&[n]).unwrap();
    let until = patience(lab).until;
    loop {
        let counts = proxy.counts();
        if counts.lost > lost {
            return false;
        }
        if counts.to_device > back {
            assert_eq!(device.recv(&mut [0; 2]).unwrap(), 1);
            return true;
        }
        assert!(lab.timeline.now() < until);
        std::thread::yield_now();
    }
}

#[test]
fn datagrams_are_delayed_swallowed_and_corrupted() {
    let Some((_peer, at)) = echo(ECHO) else { return };
    let lab = lab();
    let proxy = UdpProxy::start(&lab, ProxySetup::loopback("proxy", at)).unwrap();
    let device = device(proxy.address());
    proxy.set(UdpFault::Delay(Duration::from_millis(20)));
    assert_eq!(exchange(&device, b"late"), b"late");
    proxy.set(UdpFault::Delay(Duration::from_secs(3_600)));
    device.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    device.send(b"tomorrow").unwrap();
    assert_eq!(device.recv(&mut [0; 10]).unwrap_err().kind(), ErrorKind::WouldBlock);
    device.set_read_timeout(Some(PATIENCE)).unwrap();
    proxy.set(UdpFault::BlackHole(Way::ToDevice));
    assert!(!sent(&lab, &proxy, &device, 1));
    assert_eq!(proxy.counts().to_service, 5, "the service got `late` and what was swallowed on its way back");
    proxy.set(UdpFault::Corrupt(Corrupt { way: Way::ToService, flips: Flips::At(vec![(1, 0xff)]) }));
    assert_eq!(exchange(&device, b"\x00\x00\x00"), b"\x00\xff\x00");
    proxy.set(UdpFault::Rate(NonZeroU32::new(1_000).unwrap()));
    // The first goes at once; the others wait for their turn, until there is no room for more.
    let lost = proxy.counts().lost;
    let until = patience(&lab).until;
    while proxy.counts().lost == lost {
        assert!(lab.timeline.now() < until, "the queue has a bound");
        device.send(&[3; 60_000]).unwrap();
        std::thread::yield_now();
    }
}

#[test]
fn an_address_that_is_taken_is_refused() {
    let lab = lab();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let setup = ProxySetup { listen: taken.local_addr().unwrap(), ..ProxySetup::loopback("proxy", taken.local_addr().unwrap()) };
    let e = TcpProxy::start(&lab, setup).unwrap_err();
    assert_eq!(e.kind, proofbench_channel::ErrorKind::Refused);
}
