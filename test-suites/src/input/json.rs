//! JSON that nobody meant: for each field of a genuine object, values of other types, lengths, ranges and encodings; and texts that are no JSON at all.

use serde_json::{Map, Value, json};

/// Texts that reach other languages where a device hands input on: shells, formats, queries, paths, pages.
pub const TEXTS: &[&str] = &[
    "",
    " ",
    "%s%s%s%n%n",
    "%x%x%x%x",
    "$(reboot)",
    "`reboot`",
    ";reboot;",
    "|reboot",
    "a\nreboot\n",
    "' OR '1'='1",
    "\"; DROP TABLE users; --",
    "<script>alert(1)</script>",
    "../../../../etc/passwd",
    "..\\..\\boot.ini",
    "\u{0}",
    "\u{202e}right to left",
    "\u{1f525}\u{1f525}\u{1f525}",
    "{{7*7}}",
    "${jndi:ldap://x/}",
    "-0",
];

/// Lengths around which buffers end.
const LENGTHS: &[usize] = &[63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 1023, 1024, 1025, 1500];

/// Bodies made from a genuine object.
pub fn variants(genuine: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    let mut add = |how: String, value: &Value| out.push((how, value.to_string().into_bytes()));
    for key in genuine.keys() {
        let with = |value: Value| {
            let mut map = genuine.clone();
            map.insert(key.clone(), value);
            Value::Object(map)
        };
        for (word, value) in [
            ("null", Value::Null),
            ("true", json!(true)),
            ("-1", json!(-1)),
            ("huge number", json!(1e308)),
            ("2^63", json!(9_223_372_036_854_775_807_i64)),
            ("empty list", json!([])),
            ("empty object", json!({})),
            ("list of nulls", json!([null, null, null])),
        ] {
            add(format!("{key} is {word}"), &with(value));
        }
        for text in TEXTS {
            add(format!("{key} is {text:?}"), &with(json!(text)));
        }
        for n in LENGTHS {
            add(format!("{key} has {n} characters"), &with(json!("A".repeat(*n))));
        }
        let mut without = genuine.clone();
        without.remove(key);
        add(format!("{key} is missing"), &Value::Object(without));
    }
    let mut extra = genuine.clone();
    (0..64).for_each(|n| drop(extra.insert(format!("k{n}"), json!(n))));
    add("64 more fields".to_owned(), &Value::Object(extra));
    let genuine = Value::Object(genuine.clone()).to_string();
    for (how, text) in [
        ("list at the top", format!("[{genuine}]")),
        ("nothing but a number", "1".to_owned()),
        ("null at the top", "null".to_owned()),
        ("nested 500 deep", format!("{}1{}", "[".repeat(500), "]".repeat(500))),
        ("nested 1000 deep and not closed", "[".repeat(1000)),
        ("objects 200 deep", format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200))),
        ("cut in half", genuine[..genuine.len() / 2].to_owned()),
        ("twice", format!("{genuine}{genuine}")),
        ("trailing comma", genuine.replacen('}', ",}", 1)),
        ("number with 400 digits", format!("{{\"value\":{}}}", "9".repeat(400))),
        ("lone surrogate", "{\"value\":\"\\ud800\"}".to_owned()),
        ("escaped NUL", "{\"value\":\"\\u0000\"}".to_owned()),
        ("key twice", "{\"value\":1,\"value\":\"two\"}".to_owned()),
        ("empty key", "{\"\":1}".to_owned()),
        ("no JSON", "value=1&x=2".to_owned()),
        ("blanks only", " ".repeat(1000)),
    ] {
        out.push((how.to_owned(), text.into_bytes()));
    }
    out.push(("bytes that are no UTF-8".to_owned(), b"{\"value\":\"\xff\xfe\xc3(\"}".to_vec()));
    out.push(("byte order mark".to_owned(), [b"\xef\xbb\xbf", genuine.as_bytes()].concat()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_missing_once_and_of_every_other_type() {
        let Value::Object(map) = json!({"a": "x", "b": 1}) else { unreachable!() };
        let all = variants(&map);
        assert!(all.iter().any(|(how, body)| how == "a is missing" && body == b"{\"b\":1}"));
        assert!(all.iter().any(|(how, body)| how == "b is null" && body.windows(8).any(|w| w == b"\"b\":null")));
    }
}
