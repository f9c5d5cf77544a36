//! The section `[update]`: which drivers there are, what each needs, and how mistakes are told.

use proofbench_drivers::update::modem::Protocol;
use proofbench_drivers::update::push::Method;
use proofbench_rig::settings::update::UpdateDriver;
use proofbench_rig::{Device, ResolvedRig};
use rstest::rstest;
use std::path::Path;
use std::time::Duration;

fn resolve(update: &str) -> Result<UpdateDriver, String> {
    let text = format!("format = 1\ndossier = \"d\"\n[update]\n{update}");
    let rig = ResolvedRig::from_text(Path::new("rigs/bench.toml"), &text).map_err(|e| e.to_string())?;
    assert!(matches!(rig.device, Device::Real));
    Ok(rig.drivers.update.expect("the section is there"))
}

#[test]
fn an_address_arrives() {
    let text = "driver = \"smp-udp\"\naddress = \"th1.local:1337\"\n";
    assert_eq!(resolve(text), Ok(UpdateDriver::SmpUdp { address: "th1.local:1337".to_owned() }));
}

#[test]
fn a_boot_loader_arrives_with_its_way_in_and_its_verdict() {
    let text = "driver = \"ymodem\"\nport = { path = \"/dev/ttyX\" }\nbaud = 57600\nblock = 128\nname = \"fw.bin\"\n\
                enter = [{ send = \"loady\\r\", expect = \"Ready\", within = \"3s\" }]\nsuccess = \"OK\"\nfailure = \"bad\"\nverdict-within = \"20s\"\n";
    let Ok(UpdateDriver::Modem(modem)) = resolve(text) else { panic!("{:?}", resolve(text)) };
    assert_eq!(modem.protocol, Protocol::Ymodem { name: "fw.bin".to_owned(), long: false });
    assert_eq!((modem.port.settings.baud, modem.verdict_within), (57_600, Duration::from_secs(20)));
    let step = &modem.enter[0];
    assert_eq!((step.send.as_deref(), step.expect.as_deref(), step.within), (Some("loady\r"), Some("Ready"), Duration::from_secs(3)));
    assert_eq!((modem.success.as_deref(), modem.failure.as_deref()), (Some("OK"), Some("bad")));

    let long = "driver = \"xmodem\"\nport = { path = \"/dev/ttyX\" }\nblock = 1024\n";
    let Ok(UpdateDriver::Modem(modem)) = resolve(long) else { panic!("{:?}", resolve(long)) };
    assert_eq!(modem.protocol, Protocol::Xmodem { long: true });
}

#[test]
fn a_url_arrives_with_all_that_belongs_to_it() {
    let text = "driver = \"http-push\"\nurl = \"https://dev/up\"\nmethod = \"put\"\nfield = \"fw\"\nuser = \"admin\"\npassword = { env = \"PW\" }\n\
                success = [204]\nfailure = \"error\"\ndeadline = \"90s\"\nca = \"dev.pem\"\n\
                state = { url = \"http://dev/s\", images = \"/slots\", version = \"/v\", hash = \"/h\", slot = \"/n\", active = \"/a\", confirmed = \"/c\", pending = \"/p\" }\n";
    let Ok(UpdateDriver::HttpPush(push)) = resolve(text) else { panic!("{:?}", resolve(text)) };
    assert_eq!((push.url.as_str(), push.method, push.field.as_deref()), ("https://dev/up", Method::Put, Some("fw")));
    assert_eq!((push.user.as_deref(), push.password.is_some(), push.token.is_none()), (Some("admin"), true, true));
    assert_eq!((push.success.as_slice(), push.failure.as_deref(), push.deadline), (&[204][..], Some("error"), Duration::from_secs(90)));
    assert_eq!(push.ca.as_deref(), Some("dev.pem"));
    let state = push.state.expect("a state");
    assert_eq!((state.url.as_str(), state.images.as_deref(), state.version.as_str()), ("http://dev/s", Some("/slots"), "/v"));
    let rest = [&state.hash, &state.slot, &state.active, &state.confirmed, &state.pending].map(|p| p.as_deref());
    assert_eq!(rest, [Some("/h"), Some("/n"), Some("/a"), Some("/c"), Some("/p")]);
}

#[test]
fn an_update_server_arrives() {
    let text = "driver = \"http-pull\"\nlisten = \"192.0.2.1:8080\"\nbase = \"http://lab:80\"\nmanifest = \"/m\"\nimage = \"/i\"\ntemplate = \"m.in\"\ndeadline = \"5m\"\n";
    let Ok(UpdateDriver::HttpPull(pull)) = resolve(text) else { panic!("{:?}", resolve(text)) };
    assert_eq!((pull.listen.to_string().as_str(), pull.base.as_deref()), ("192.0.2.1:8080", Some("http://lab:80")));
    assert_eq!((pull.manifest.as_str(), pull.image.as_str(), pull.template.as_deref()), ("/m", "/i", Some("m.in")));
    assert_eq!(pull.deadline, Duration::from_secs(300));
}

#[test]
fn command_lines_over_ssh_arrive() {
    let text = "driver = \"ssh\"\naddress = \"lg1.local:2222\"\nuser = \"update\"\nkey = \"lab-key\"\nknown-hosts = \"hosts\"\nstate = \"fw state\"\n\
                image = '^(?P<slot>\\d) (?P<version>\\S+)$'\ninstall = \"fw receive\"\ntry = \"fw try {hash}\"\nkeep = \"fw keep\"\nerase = \"fw erase\"\n\
                restart = \"reboot\"\ninstall-within = \"4m\"\nwithin = \"9s\"\n";
    let Ok(UpdateDriver::Ssh(ssh)) = resolve(text) else { panic!("{:?}", resolve(text)) };
    assert_eq!((ssh.host.as_str(), ssh.port.as_str(), ssh.user.as_str(), ssh.key.as_str()), ("lg1.local", "2222", "update", "lab-key"));
    assert_eq!((ssh.known_hosts.as_deref(), ssh.image.as_str()), (Some("hosts"), r"^(?P<slot>\d) (?P<version>\S+)$"));
    let lines = &ssh.lines;
    assert_eq!((lines.state.as_str(), lines.install.as_str(), lines.try_once.as_deref()), ("fw state", "fw receive", Some("fw try {hash}")));
    assert_eq!((lines.keep.as_deref(), lines.erase.as_deref(), lines.restart.as_deref()), (Some("fw keep"), Some("fw erase"), Some("reboot")));
    assert_eq!((ssh.install_within, ssh.within), (Duration::from_secs(240), Duration::from_secs(9)));
}

#[rstest]
#[case("address = \"lg1.local\"", "host:port")]
#[case("address = \"-oProxyCommand=x:22\"", "host:port")]
#[case("user = \"-l root\"", "no name")]
#[case("try = \"fw try {image}\"", "{hash}")]
#[case("install = \" \"", "no command line")]
fn what_ssh_could_not_take_is_told(#[case] line: &str, #[case] told: &str) {
    let key = line.split(' ').next().unwrap();
    let good = ["address = \"h:22\"", "user = \"u\"", "key = \"k\"", "state = \"s\"", "image = '(?P<slot>.)(?P<version>.)'", "install = \"i\""];
    let rest: Vec<&str> = good.into_iter().filter(|l| l.split(' ').next() != Some(key)).collect();
    let text = format!("driver = \"ssh\"\n{}\n{line}\n", rest.join("\n"));
    let error = resolve(&text).unwrap_err();
    assert!(error.contains(told) && error.contains("bench.toml:"), "{error}");
}

#[test]
fn a_program_arrives() {
    let text = "driver = \"command\"\nrun = [\"./tool\", \"-v\"]\ndeadline = \"2m\"\n";
    let Ok(UpdateDriver::Command(command)) = resolve(text) else { panic!("{:?}", resolve(text)) };
    assert_eq!((command.run, command.deadline), (vec!["./tool".to_owned(), "-v".to_owned()], Duration::from_secs(120)));
}

const PORT: &str = "port = { path = \"/dev/ttyX\" }\n";

#[rstest]
#[case::driver("smp-tcp", "", "no driver of this channel; valid: emulator, smp, smp-udp, xmodem, ymodem, http-push, http-pull, command")]
#[case::address_missing("smp-udp", "", "this driver needs `address`; valid: address = \"192.0.2.7:1337\"")]
#[case::no_port("smp-udp", "address = \"th1.local\"\n", "`th1.local`: no address; valid: host:port")]
#[case::unknown("smp-udp", "address = \"a:1\"\nbaud = 9600\n", "`baud`: unknown field `baud`")]
#[case::line_missing("ymodem", "", "this driver needs `port`")]
#[case::block("xmodem", "port = { path = \"x\" }\nblock = 256\n", "`256`: no size of a block; valid: 128, 1024")]
#[case::xmodem_name("xmodem", "port = { path = \"x\" }\nname = \"a\"\n", "`a`: XMODEM tells no name")]
#[case::name("ymodem", "port = { path = \"x\" }\nname = \"a/b\"\n", "`a/b`: no name of a file")]
#[case::step("ymodem", "port = { path = \"x\" }\nenter = [{ }]\n", "a step sends something, waits for something, or both")]
#[case::step_within("ymodem", "port = { path = \"x\" }\nenter = [{ send = \"a\", within = \"1s\" }]\n", "this step waits for nothing")]
#[case::pattern("ymodem", "port = { path = \"x\" }\nsuccess = \"(\"\n", "`(`: no pattern")]
#[case::verdict("ymodem", "port = { path = \"x\" }\nverdict-within = \"1s\"\n", "there is no verdict to wait for")]
#[case::url("http-push", "url = \"ftp://dev/up\"\n", "no URL of a device: it does not begin with http://")]
#[case::https("http-push", "url = \"https://dev/up\"\n", "https needs the certificate")]
#[case::ca_unread("http-push", "url = \"http://dev/up\"\nca = \"x.pem\"\n", "`x.pem`: no URL is https, so nothing reads this")]
#[case::user_alone("http-push", "url = \"http://dev/up\"\nuser = \"a\"\n", "`a`: a user has a password")]
#[case::success("http-push", "url = \"http://dev/up\"\nsuccess = [404]\n", "no status codes of success")]
#[case::pointer("http-push", "url = \"http://dev/up\"\nstate = { url = \"http://dev/s\", version = \"v\" }\n", "`v`: no JSON pointer")]
#[case::listen("http-pull", "listen = \"lab:8080\"\n", "`lab:8080`: no address of this machine")]
#[case::listen_0("http-pull", "listen = \"0.0.0.0:0\"\n", "`0.0.0.0:0`: no address of this machine")]
#[case::same_path("http-pull", "listen = \"0.0.0.0:80\"\nmanifest = \"/a\"\nimage = \"/a\"\n", "manifest and image are at the same path")]
#[case::run("command", "run = []\n", "no program")]
#[case::deadline("command", "run = [\"x\"]\ndeadline = \"0s\"\n", "`0s`: no span of time that makes sense here")]
fn a_mistake_is_told_with_its_place(#[case] driver: &str, #[case] keys: &str, #[case] message: &str) {
    let e = resolve(&format!("driver = \"{driver}\"\n{keys}")).expect_err("this section is wrong");
    assert!(e.starts_with("rigs/bench.toml:"), "{e}");
    assert!(e.contains(message), "{e}\nshould contain\n{message}");
}

#[test]
fn what_may_be_a_secret_is_not_shown() {
    let in_url = resolve("driver = \"http-push\"\nurl = \"http://admin:hunter2@dev/up\"\n").expect_err("credentials in a URL");
    let written = resolve("driver = \"http-push\"\nurl = \"http://dev/up\"\ntoken = \"hunter2\"\n").expect_err("a secret that is written out");
    assert!(!in_url.contains("hunter2") && !written.contains("hunter2"), "{in_url}\n{written}");
}

#[test]
fn a_loader_on_a_port_needs_nothing_more() {
    assert!(resolve(&format!("driver = \"ymodem\"\n{PORT}")).is_ok());
    assert!(resolve(&format!("driver = \"xmodem\"\n{PORT}")).is_ok());
}
