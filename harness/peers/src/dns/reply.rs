//! The answer to a query, in bytes, with the lies that were asked for.

use super::zone::txt;
use super::{Conduct, Told};
use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record};
use std::net::Ipv4Addr;

/// Length of a message's header.
const HEADER: usize = 12;
/// What a client takes over UDP that does not say.
const UDP_LEAST: usize = 512;
/// What we say we take over UDP.
const UDP_OURS: u16 = 1232;
/// Most bytes of a TXT record.
const TXT_MOST: usize = 60_000;
/// Most A records.
const RECORDS_MOST: u16 = 3_700;
/// Pointer to the name of the question.
const QUESTION: u16 = 0xc000 | HEADER as u16;

/// By what a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Udp,
    Tcp,
}

/// What a query was and what is said to it.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The query in words.
    pub asked: String,
    /// The answer in words.
    pub said: String,
    /// The answer; `None` is silence.
    pub bytes: Option<Vec<u8>>,
    /// Whether it comes from another port.
    pub elsewhere: bool,
}

impl Reply {
    fn silence(asked: String) -> Self {
        Self { asked, said: "not answered".to_owned(), bytes: None, elsewhere: false }
    }
}

/// The answer to these bytes of a device.
pub(crate) fn reply(told: &Told, query: &[u8], over: Over) -> Reply {
    let message = match Message::from_vec(query) {
        Ok(message) => message,
        Err(e) => return unread(query, &e.to_string()),
    };
    if message.metadata.message_type != MessageType::Query {
        return Reply::silence("an answer that nobody asked for".to_owned());
    }
    let [question] = &message.queries[..] else {
        return coded(&message, format!("{} questions", message.queries.len()), ResponseCode::FormErr);
    };
    let name = question.name().to_ascii();
    let asked = format!("{} {} {}", name.as_bytes().escape_ascii(), question.query_type(), question.query_class());
    if message.metadata.op_code != OpCode::Query {
        return coded(&message, asked, ResponseCode::NotImp);
    }
    match told.conduct {
        Conduct::Silent => return Reply::silence(asked),
        Conduct::ServFail => return coded(&message, asked, ResponseCode::ServFail),
        Conduct::Refused => return coded(&message, asked, ResponseCode::Refused),
        _ => {}
    }
    if question.query_class() != DNSClass::IN {
        return coded(&message, asked, ResponseCode::Refused);
    }
    let mut answer = start(&message);
    let (code, records) = told.zone.find(question.name(), question.query_type(), told.unknown);
    answer.metadata.response_code = code;
    answer.answers = records;
    change(&mut answer, told.conduct, question);
    let said = format!("{}, {:?}, {} records of the zone", answer.metadata.response_code, told.conduct, answer.answers.len());
    match bytes(&answer, told.conduct, &message, over) {
        Ok((bytes, short)) => {
            let said = if short { format!("{said}, truncated") } else { said };
            Reply { asked, said, bytes: Some(bytes), elsewhere: told.conduct == Conduct::OtherPort }
        }
        Err(e) => {
            let mut failed = coded(&message, asked, ResponseCode::ServFail);
            failed.said = format!("{}, for the zone's answer does not fit a message: {e}", failed.said);
            failed
        }
    }
}

/// Lies that hickory can write.
fn change(answer: &mut Message, conduct: Conduct, question: &Query) {
    let own = |data| Record::from_rdata(question.name().clone(), 60, data);
    match conduct {
        Conduct::WrongQuestion => {
            let mut wrong = question.clone();
            wrong.set_name(Name::from_ascii("not-asked-for.invalid.").unwrap_or_default());
            answer.queries = vec![wrong];
        }
        Conduct::OversizedTxt(length) => {
            answer.metadata.response_code = ResponseCode::NoError;
            answer.answers = vec![own(RData::TXT(txt(&vec![b'x'; length.min(TXT_MOST)])))];
        }
        Conduct::Ttl(ttl) => answer.answers.iter_mut().for_each(|r| r.ttl = ttl),
        // These are written behind the question.
        Conduct::CompressionLoop | Conduct::ManyRecords(_) => {
            answer.metadata.response_code = ResponseCode::NoError;
            answer.answers.clear();
            answer.edns = None;
        }
        _ => {}
    }
}

/// The message in bytes, whether it is truncated, and the lies that hickory cannot write.
fn bytes(answer: &Message, conduct: Conduct, query: &Message, over: Over) -> Result<(Vec<u8>, bool), ProtoError> {
    let mut bytes = answer.to_vec()?;
    let room = query.edns.as_ref().map_or(UDP_LEAST, |e| usize::from(e.max_payload()).max(UDP_LEAST));
    let huge = matches!(conduct, Conduct::OversizedTxt(_) | Conduct::ManyRecords(_));
    let short = over == Over::Udp && (conduct == Conduct::Truncate || (bytes.len() > room && !huge));
    if short {
        bytes = answer.truncate().to_vec()?;
    }
    match conduct {
        Conduct::WrongId => bytes[..2].copy_from_slice(&(!query.metadata.id).to_be_bytes()),
        Conduct::CompressionLoop => {
            // The answer begins behind header and question; its name says: go on reading here. A question is too short for the offset not to fit.
            let here = 0xc000 | u16::try_from(bytes.len()).unwrap_or_default() & 0x3fff;
            address(&mut bytes, here, Ipv4Addr::LOCALHOST);
            bytes[6..8].copy_from_slice(&1_u16.to_be_bytes());
        }
        // By hand, for hickory finds no names beyond those that a pointer reaches and fills the message with them.
        Conduct::ManyRecords(count) => {
            let count = u16::try_from(count).unwrap_or(u16::MAX).min(RECORDS_MOST);
            // Addresses of 198.18.0.0/15, which is for tests.
            let base = u32::from(Ipv4Addr::new(198, 18, 0, 0));
            for n in 0..u32::from(count) {
                address(&mut bytes, QUESTION, Ipv4Addr::from(base + n));
            }
            bytes[6..8].copy_from_slice(&count.to_be_bytes());
        }
        _ => {}
    }
    Ok((bytes, short))
}

/// An A record for a minute, whose name is at this pointer.
fn address(bytes: &mut Vec<u8>, name: u16, address: Ipv4Addr) {
    bytes.extend_from_slice(&name.to_be_bytes());
    bytes.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    bytes.extend_from_slice(&address.octets());
}

fn start(query: &Message) -> Message {
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.queries.clone_from(&query.queries);
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_OURS);
        answer.set_edns(edns);
    }
    answer
}

/// An answer without records.
fn coded(query: &Message, asked: String, code: ResponseCode) -> Reply {
    let mut answer = start(query);
    answer.metadata.response_code = code;
    if code == ResponseCode::FormErr {
        // What was wrong with it may be too much of it.
        answer.queries.clear();
    }
    match answer.to_vec() {
        Ok(bytes) => Reply { asked, said: code.to_string(), bytes: Some(bytes), elsewhere: false },
        Err(_) => Reply::silence(asked),
    }
}

/// What cannot be read is told so, if it has an id and is no answer itself.
fn unread(query: &[u8], why: &str) -> Reply {
    let asked = format!("no query that can be read, {} bytes: {}", query.len(), why.as_bytes().escape_ascii());
    if query.len() < HEADER || query[2] & 0x80 != 0 {
        return Reply::silence(asked);
    }
    let answer = Message::error_msg(u16::from_be_bytes([query[0], query[1]]), OpCode::Query, ResponseCode::FormErr);
    match answer.to_vec() {
        Ok(bytes) => Reply { asked, said: ResponseCode::FormErr.to_string(), bytes: Some(bytes), elsewhere: false },
        Err(_) => Reply::silence(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Unknown, Zone};
    use super::*;
    use hickory_proto::rr::RecordType;
    use proptest::prelude::*;

    fn told(conduct: Conduct) -> Told {
        Told { zone: Zone::new(), unknown: Unknown::Lab { v4: Ipv4Addr::LOCALHOST, v6: None, ttl: 1 }, conduct }
    }

    fn query() -> Vec<u8> {
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii("a.test.").unwrap(), RecordType::A));
        query.to_vec().unwrap()
    }

    #[test]
    fn answers_are_not_answered() {
        let mut answer = query();
        answer[2] |= 0x80;
        assert_eq!(reply(&told(Conduct::Honest), &answer, Over::Udp).bytes, None);
        assert_eq!(reply(&told(Conduct::Honest), &answer[..20], Over::Udp).bytes, None);
    }

    #[test]
    fn the_most_of_everything_still_fits_a_message() {
        for conduct in [Conduct::ManyRecords(usize::MAX), Conduct::OversizedTxt(usize::MAX)] {
            let bytes = reply(&told(conduct), &query(), Over::Udp).bytes.unwrap();
            assert!((50_000..65_000).contains(&bytes.len()), "{conduct:?} {}", bytes.len());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..600), flip in any::<(usize, u8)>()) {
            let mut bent = query();
            let at = flip.0 % bent.len();
            bent[at] ^= flip.1;
            for query in [bytes, bent] {
                let said = reply(&told(Conduct::CompressionLoop), &query, Over::Udp);
                prop_assert!(said.asked.is_ascii() && !said.asked.contains('\n'));
            }
        }
    }
}
