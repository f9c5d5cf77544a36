//! CBOR bodies of SMP packets, as far as answers of a device that may lie are concerned: bounded in depth and size.

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// Deepest nesting that is read.
const DEPTH_MOST: usize = 6;
/// Most values of one body.
const VALUES_MOST: usize = 2_000;

/// One value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    Bool(bool),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    /// Anything else: null, floats, tags, numbers beyond 64 bits.
    Other,
}

impl Value {
    /// The entry of a map. With two of the same name the first counts.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }
    pub(super) fn int(&self) -> Option<i64> {
        if let Value::Int(n) = self { Some(*n) } else { None }
    }
    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Text(t) = self { Some(t) } else { None }
    }
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        if let Value::Bytes(b) = self { Some(b) } else { None }
    }
    pub(super) fn is_true(&self) -> bool {
        matches!(self, Value::Bool(true))
    }
}

/// Reads a body: a map with text keys (others are left out). `None` if it is anything else or breaks off.
pub(super) fn decode(body: &[u8]) -> Option<Value> {
    let mut left = VALUES_MOST;
    match value(&mut Decoder::new(body), 0, &mut left)? {
        map @ Value::Map(_) => Some(map),
        _ => None,
    }
}

fn value(d: &mut Decoder<'_>, depth: usize, left: &mut usize) -> Option<Value> {
    if depth > DEPTH_MOST {
        return None;
    }
    *left = left.checked_sub(1)?;
    Some(match d.datatype().ok()? {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            i64::try_from(d.int().ok()?).map_or(Value::Other, Value::Int)
        }
        Type::Bool => Value::Bool(d.bool().ok()?),
        Type::String => Value::Text(d.str().ok()?.to_owned()),
        Type::StringIndef => Value::Text(d.str_iter().ok()?.collect::<Result<String, _>>().ok()?),
        Type::Bytes => Value::Bytes(d.bytes().ok()?.to_vec()),
        Type::BytesIndef => {
            let mut all = Vec::new();
            for part in d.bytes_iter().ok()? {
                all.extend(part.ok()?);
            }
            Value::Bytes(all)
        }
        Type::Array | Type::ArrayIndef => {
            let length = d.array().ok()?;
            let mut list = Vec::new();
            while more(d, length, list.len())? {
                list.push(value(d, depth + 1, left)?);
            }
            Value::List(list)
        }
        Type::Map | Type::MapIndef => {
            let length = d.map().ok()?;
            let mut entries = Vec::new();
            let mut read = 0;
            while more(d, length, read)? {
                let key = value(d, depth + 1, left)?;
                let item = value(d, depth + 1, left)?;
                if let Value::Text(key) = key {
                    entries.push((key, item));
                }
                read += 1;
            }
            Value::Map(entries)
        }
        Type::Break => return None,
        _ => {
            d.skip().ok()?;
            Value::Other
        }
    })
}

/// Whether another element follows; consumes the end mark of an indefinite container.
fn more(d: &mut Decoder<'_>, length: Option<u64>, read: usize) -> Option<bool> {
    match length {
        Some(n) => Some((read as u64) < n),
        None if d.datatype().ok()? == Type::Break => {
            d.skip().ok()?;
            Some(false)
        }
        None => Some(true),
    }
}

/// Writes a body. Writing to memory does not fail.
pub(super) fn encode(write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Result<(), minicbor::encode::Error<std::convert::Infallible>>) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    match write(&mut encoder) {
        Ok(()) | Err(_) => encoder.into_writer(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn definite_and_indefinite_maps_read_alike() {
        let definite = [0xa2, 0x62, b'r', b'c', 0x03, 0x63, b'o', b'f', b'f', 0x19, 0x02, 0x00];
        let indefinite = [0xbf, 0x62, b'r', b'c', 0x03, 0x63, b'o', b'f', b'f', 0x19, 0x02, 0x00, 0xff];
        let expected = Value::Map(vec![("rc".into(), Value::Int(3)), ("off".into(), Value::Int(512))]);
        assert_eq!(decode(&definite), Some(expected.clone()));
        assert_eq!(decode(&indefinite), Some(expected));
    }

    #[test]
    fn a_number_beyond_64_bits_is_read_over() {
        let body = [0xa2, 0x61, b'a', 0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x61, b'b', 0x01];
        let map = decode(&body).expect("reads");
        assert_eq!(map.get("a"), Some(&Value::Other));
        assert_eq!(map.get("b"), Some(&Value::Int(1)));
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let mut body = vec![0xa1, 0x61, b'a'];
        body.extend([0x81; 4000]);
        assert_eq!(decode(&body), None);
    }

    #[test]
    fn a_container_that_announces_billions_costs_nothing() {
        assert_eq!(decode(&[0xa1, 0x61, b'a', 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), None);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = decode(&body);
        }
    }
}
