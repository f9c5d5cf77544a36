//! Pages before curl.

use crate::bench::{Bench, text};
use proofbench_channel::network::{Certificate, End, Front, Pace, Page, Sight, Trade};
use proofbench_testkit::find;
use std::io::{Read, Write};
use std::net::TcpStream;

const HOST: &str = "update.example";

fn page(pace: Pace) -> Page {
    Page { pace, ..Page::new("/image.bin", *b"0123456789") }
}

fn web(pages: Vec<Page>) -> Bench {
    let mut bench = Bench::new();
    bench.serve(HOST, 80, Front::Plain, Trade::Web(pages));
    bench
}

#[test]
fn a_page_is_served_whole_in_part_and_not_where_there_is_none() {
    let Some(curl) = find("curl") else { return };
    let mut bench = web(vec![page(Pace::Whole)]);
    assert_eq!(text(&bench.curl(&curl, HOST, 80, "/image.bin?v=1", &[]).stdout), "0123456789");
    assert_eq!(text(&bench.curl(&curl, HOST, 80, "/image.bin", &["--range", "2-4"]).stdout), "234");
    assert_eq!(text(&bench.curl(&curl, HOST, 80, "/image.bin", &["--continue-at", "7"]).stdout), "789");
    let head = text(&bench.curl(&curl, HOST, 80, "/image.bin", &["--head"]).stdout);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"), "{head}");
    let status = ["--write-out", "%{http_code}"];
    assert_eq!(text(&bench.curl(&curl, HOST, 80, "/other", &status).stdout), "404");
    assert_eq!(text(&bench.curl(&curl, HOST, 80, "/state", &["--data", "t=21", "--write-out", "%{http_code}"]).stdout), "204");
    let posted = bench.sees("post", |s| matches!(&s.sight, Sight::Request { method, .. } if method == "POST"));
    let Sight::Request { target, head, body, .. } = posted.sight else { panic!() };
    assert_eq!((posted.host.as_str(), posted.port, posted.unit, target.as_str(), body.as_slice()), (HOST, 80, 1, "/state", &b"t=21"[..]));
    assert!(head.starts_with("Host: update.example:20080\r\n"), "{head}");
    let sights = bench.until_end(posted.conn);
    assert!(matches!(sights[..], [Sight::Dialled { hello: None }, Sight::Request { .. }, Sight::Ended(End::Fin)]), "{sights:?}");
    let first = bench.sees("get", |s| matches!(&s.sight, Sight::Request { .. }));
    assert!(matches!(first.sight, Sight::Request { target, .. } if target == "/image.bin?v=1"));
}

#[test]
fn a_connection_stays_for_the_next_request() {
    let Some(curl) = find("curl") else { return };
    let mut bench = web(vec![page(Pace::Whole)]);
    let place = bench.place(HOST, 80);
    let again = format!("http://{HOST}:{}/image.bin", place.port());
    let said = bench.curl(&curl, HOST, 80, "/image.bin", &["--write-out", " %{num_connects}\n", &again]);
    assert_eq!(text(&said.stdout), "0123456789 1\n0123456789 0\n");
    let end = bench.sees("end", |s| matches!(s.sight, Sight::Ended(_)));
    assert_eq!(bench.of(end.conn).iter().filter(|s| matches!(s, Sight::Request { .. })).count(), 2);
}

#[test]
fn answers_go_wrong_as_they_are_told_to() {
    let Some(curl) = find("curl") else { return };
    let mut bench = web(vec![]);
    let mut get = |pace: Pace, options: &[&str]| {
        bench.serve(HOST, 80, Front::Plain, Trade::Web(vec![page(pace)]));
        let said = bench.curl(&curl, HOST, 80, "/image.bin", options);
        (said.status.code().unwrap(), text(&said.stdout))
    };
    // 18: less came than was announced; 28: the time was over; 56: the connection was reset.
    assert_eq!(get(Pace::StallAfter(4), &["--speed-time", "1", "--speed-limit", "1", "--no-buffer"]), (28, "0123".to_owned()));
    assert_eq!(get(Pace::CutAfter(4), &["--no-buffer"]), (56, "0123".to_owned()));
    assert_eq!(get(Pace::Claim(20), &["--no-buffer"]), (18, "0123456789".to_owned()));
    assert_eq!(get(Pace::NoRanges, &["--range", "2-4", "--write-out", " %{http_code}"]), (0, "0123456789 200".to_owned()));
    assert_eq!(get(Pace::Shifted(3), &["--range", "2-4", "--write-out", " %{http_code}"]), (0, "567 206".to_owned()));
}

#[test]
fn a_page_can_send_elsewhere_and_be_exchanged_behind_its_first_answers() {
    let Some(curl) = find("curl") else { return };
    let moved = Page { status: 302, location: Some("/image.bin".to_owned()), ..Page::new("/old", "") };
    let swapped = Page { then: Some((1, b"other".to_vec())), ..page(Pace::Whole) };
    let bench = web(vec![moved, swapped]);
    assert_eq!(text(&bench.curl(&curl, HOST, 80, "/old", &["--location"]).stdout), "0123456789");
    assert_eq!(text(&bench.curl(&curl, HOST, 80, "/image.bin", &[]).stdout), "other");
}

#[test]
fn what_is_no_request_is_seen_as_bytes_and_ended() {
    let mut bench = web(vec![]);
    let mut stream = TcpStream::connect(bench.place(HOST, 80)).unwrap();
    stream.write_all(b"\x00\x01 nothing of the kind\r\n\r\n").unwrap();
    assert_eq!(stream.read(&mut [0; 10]).unwrap(), 0);
    let seen = bench.sees("bytes", |s| matches!(s.sight, Sight::Bytes(_)));
    assert_eq!(seen.sight, Sight::Bytes(b"\x00\x01 nothing of the kind\r\n\r\n".to_vec()));
}

#[test]
fn hosts_at_one_port_are_told_apart_with_and_without_addresses_of_their_own() {
    let Some(curl) = find("curl") else { return };
    for many in [true, false] {
        let mut bench = Bench::with(|setup| setup.many_addresses = many);
        let wait = bench.long();
        proofbench_channel::Network::link(&mut bench.lab, true, &wait).unwrap();
        bench.serve("resolver", 53, Front::Plain, Trade::Names { alive: true });
        for (host, body) in [("a.example", "of a"), ("b.example", "of b")] {
            bench.serve(host, 80, Front::Plain, Trade::Web(vec![Page::new("/", body)]));
            bench.serve(host, 443, Front::Tls(Certificate::Good), Trade::Web(vec![Page::new("/", body)]));
        }
        bench.serve("*", 80, Front::Plain, Trade::Sink);
        let trust = bench.trust();
        let (a, b) = (bench.resolve("a.example"), bench.resolve("b.example"));
        assert_eq!(a != b, many);
        for (host, body) in [("a.example", "of a"), ("b.example", "of b"), ("a.example", "of a")] {
            assert_eq!(text(&bench.curl(&curl, host, 80, "/", &[]).stdout), body, "{many}");
            let said = bench.curl(&curl, host, 443, "/", &["--cacert", trust.path().to_str().unwrap()]);
            assert_eq!(text(&said.stdout), body, "{said:?}");
        }
        // A name without a service of its own.
        let mut stream = TcpStream::connect(bench.place("telemetry.example", 80)).unwrap();
        stream.write_all(b"id=4711").unwrap();
        let trapped = bench.sees("trapped", |s| matches!(s.sight, Sight::Bytes(_)));
        assert_eq!((trapped.host.as_str(), trapped.sight), ("telemetry.example", Sight::Bytes(b"id=4711".to_vec())));
    }
}
