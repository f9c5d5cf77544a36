//! What a resolver knows: names and their records, wildcards among them, and what it says of all others.

use super::DnsError;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, TXT};
use hickory_proto::rr::{self, Name, RData, RecordType};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest chain of aliases that is followed; the device gets as much of a longer one, or of a loop.
const ALIASES_MOST: usize = 8;
/// Longest string of a TXT record.
const STRING_MOST: usize = 255;

/// A record's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The name that this one is an alias of.
    Cname(String),
    /// Any bytes, in strings of up to 255.
    Txt(Vec<u8>),
    /// A mail exchange.
    Mx {
        /// The lower, the sooner.
        preference: u16,
        /// Its name.
        exchange: String,
    },
}

/// What becomes of names that are not in the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They do not exist.
    NxDomain,
    /// They are all names of the lab.
    Lab {
        /// For A.
        v4: Ipv4Addr,
        /// For AAAA; without, there is no such record.
        v6: Option<Ipv6Addr>,
        /// Time to live in seconds.
        ttl: u32,
    },
}

/// Names and their records.
#[derive(Debug, Clone, Default)]
pub struct Zone(BTreeMap<Name, Vec<(u32, RData)>>);

impl Zone {
    /// An empty zone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record with its time to live in seconds. A name whose first label is `*` is a wildcard (RFC 4592). Names are absolute, with or without the
    /// dot behind them.
    pub fn add(&mut self, owner: &str, ttl: u32, record: Record) -> Result<(), DnsError> {
        let data = match record {
            Record::A(address) => RData::A(A(address)),
            Record::Aaaa(address) => RData::AAAA(AAAA(address)),
            Record::Cname(target) => RData::CNAME(CNAME(name(&target)?)),
            Record::Txt(bytes) => RData::TXT(txt(&bytes)),
            Record::Mx { preference, exchange } => RData::MX(MX::new(preference, name(&exchange)?)),
        };
        self.0.entry(name(owner)?.to_lowercase()).or_default().push((ttl, data));
        Ok(())
    }

    /// The answer to a question, aliases followed.
    pub(super) fn find(&self, asked: &Name, kind: RecordType, unknown: Unknown) -> (ResponseCode, Vec<rr::Record>) {
        let mut answers = Vec::new();
        let mut name = asked.clone();
        for _ in 0..ALIASES_MOST {
            let Some(records) = self.records(&name.to_lowercase()) else {
                let code = elsewhere(&name, kind, unknown, &mut answers);
                return (code, answers);
            };
            let alias = records.iter().find_map(|(ttl, data)| match data {
                RData::CNAME(target) if !matches!(kind, RecordType::CNAME | RecordType::ANY) => Some((*ttl, data, &target.0)),
                _ => None,
            });
            if let Some((ttl, data, target)) = alias {
                answers.push(rr::Record::from_rdata(name, ttl, data.clone()));
                name = target.clone();
                continue;
            }
            let wanted = records.iter().filter(|(_, data)| kind == RecordType::ANY || data.record_type() == kind);
            answers.extend(wanted.map(|(ttl, data)| rr::Record::from_rdata(name.clone(), *ttl, data.clone())));
            break;
        }
        (ResponseCode::NoError, answers)
    }

    /// The records of a name in lower case. `None`: there is no such name.
    fn records(&self, name: &Name) -> Option<&[(u32, RData)]> {
        if let Some(records) = self.0.get(name) {
            return Some(records);
        }
        // A name above others exists, and has nothing.
        let above = |name: &Name| self.0.keys().any(|k| name.zone_of(k));
        if above(name) {
            return Some(&[]);
        }
        let mut closest = name.base_name();
        while !closest.is_root() && !above(&closest) {
            closest = closest.base_name();
        }
        let wildcard = closest.prepend_label("*").ok()?;
        self.0.get(&wildcard).map(Vec::as_slice)
    }
}

fn elsewhere(name: &Name, kind: RecordType, unknown: Unknown, answers: &mut Vec<rr::Record>) -> ResponseCode {
    let Unknown::Lab { v4, v6, ttl } = unknown else { return ResponseCode::NXDomain };
    let data = match (kind, v6) {
        (RecordType::A | RecordType::ANY, _) => RData::A(A(v4)),
        (RecordType::AAAA, Some(v6)) => RData::AAAA(AAAA(v6)),
        _ => return ResponseCode::NoError,
    };
    answers.push(rr::Record::from_rdata(name.clone(), ttl, data));
    ResponseCode::NoError
}

/// Any bytes in strings of 255.
pub(super) fn txt(bytes: &[u8]) -> TXT {
    // A record without a string would not be one.
    let strings = if bytes.is_empty() { vec![bytes] } else { bytes.chunks(STRING_MOST).collect() };
    TXT::from_bytes(strings)
}

fn name(text: &str) -> Result<Name, DnsError> {
    let mut name = Name::from_ascii(text).map_err(|source| DnsError::Name { name: text.to_owned(), source })?;
    name.set_fqdn(true);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn zone() -> Zone {
        let mut zone = Zone::new();
        let host = |n| Record::A(Ipv4Addr::new(192, 0, 2, n));
        zone.add("a.example.org", 60, host(1)).unwrap();
        zone.add("*.example.org", 60, host(2)).unwrap();
        zone.add("deep.under.example.org", 60, host(3)).unwrap();
        zone.add("alias.example.org", 60, Record::Cname("a.example.org".to_owned())).unwrap();
        zone.add("loop.example.org", 60, Record::Cname("loop.example.org".to_owned())).unwrap();
        zone.add("away.example.org", 60, Record::Cname("nowhere.test".to_owned())).unwrap();
        zone
    }

    #[rstest]
    #[case("a.example.org.", ResponseCode::NoError, &["192.0.2.1"])]
    #[case("A.Example.ORG.", ResponseCode::NoError, &["192.0.2.1"])]
    #[case("any.example.org.", ResponseCode::NoError, &["192.0.2.2"])]
    #[case("two.labels.example.org.", ResponseCode::NoError, &["192.0.2.2"])]
    #[case("below.a.example.org.", ResponseCode::NXDomain, &[])]
    #[case("under.example.org.", ResponseCode::NoError, &[])]
    #[case("beside.under.example.org.", ResponseCode::NXDomain, &[])]
    #[case("alias.example.org.", ResponseCode::NoError, &["a.example.org.", "192.0.2.1"])]
    #[case("away.example.org.", ResponseCode::NXDomain, &["nowhere.test."])]
    #[case("example.com.", ResponseCode::NXDomain, &[])]
    #[case(".", ResponseCode::NoError, &[])]
    fn names_are_found_as_rfc_4592_has_it(#[case] asked: &str, #[case] code: ResponseCode, #[case] data: &[&str]) {
        let (got, answers) = zone().find(&name(asked).unwrap(), RecordType::A, Unknown::NxDomain);
        assert_eq!((got, answers.iter().map(|r| r.data.to_string()).collect::<Vec<_>>()), (code, data.iter().map(|d| (*d).to_owned()).collect()));
    }

    #[test]
    fn an_alias_of_itself_has_an_end() {
        let (_, answers) = zone().find(&name("loop.example.org").unwrap(), RecordType::A, Unknown::NxDomain);
        assert_eq!(answers.len(), ALIASES_MOST);
    }

    #[test]
    fn what_is_no_name_is_not_taken() {
        assert!(Zone::new().add(&"x".repeat(64), 0, Record::Txt(vec![])).is_err());
    }
}
