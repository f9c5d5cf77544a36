//! What a device holds, read from JSON of its own making by pointers.

use crate::text::shown;
use proofbench_channel::ImageState;
use serde_json::Value;

/// Most images that are read.
const IMAGES_MOST: usize = 16;

/// Where things stand in the JSON at a URL. Pointers as RFC 6901 has them: `/firmware/version`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointers {
    /// The URL.
    pub url: String,
    /// The list of images; the other pointers are then relative to each of its members. Without it the document is about the image that runs.
    pub images: Option<String>,
    /// Version: text or number.
    pub version: String,
    /// Hash, hexadecimal text.
    pub hash: Option<String>,
    /// Slot; without it, the place in the list.
    pub slot: Option<String>,
    /// Runs now; without it, the first one does.
    pub active: Option<String>,
    /// Will stay.
    pub confirmed: Option<String>,
    /// Will be tried.
    pub pending: Option<String>,
}

/// Whether this is a pointer.
pub fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
}

impl Pointers {
    /// The images, or what is wrong with the JSON.
    pub(super) fn images(&self, text: &[u8]) -> Result<Vec<ImageState>, String> {
        let wrong = |why: String| format!("{why}: `{}`", shown(text.trim_ascii()));
        let document: Value = serde_json::from_slice(text).map_err(|_| wrong("it is no JSON".to_owned()))?;
        let members: Vec<&Value> = match &self.images {
            None => vec![&document],
            Some(at) => {
                let list = document.pointer(at).and_then(Value::as_array).ok_or_else(|| wrong(format!("there is no list at `{at}`")))?;
                if list.len() > IMAGES_MOST {
                    return Err(format!("{} images; at most {IMAGES_MOST}", list.len()));
                }
                list.iter().collect()
            }
        };
        members.iter().enumerate().map(|(n, member)| self.image(n, member).map_err(&wrong)).collect()
    }

    fn image(&self, n: usize, member: &Value) -> Result<ImageState, String> {
        let version = match member.pointer(&self.version) {
            Some(Value::String(text)) => shown(text.as_bytes()),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(format!("there is no version at `{}` of image {n}", self.version)),
        };
        let hash = match self.hash.as_ref().map(|at| (at, member.pointer(at))) {
            None | Some((_, Some(Value::Null))) => Vec::new(),
            Some((at, value)) => {
                let bytes = value.and_then(Value::as_str).and_then(super::super::unhex);
                bytes.ok_or_else(|| format!("there is no hexadecimal hash at `{at}` of image {n}"))?
            }
        };
        let slot = match self.slot.as_ref().map(|at| (at, member.pointer(at))) {
            None => u32::try_from(n).unwrap_or(u32::MAX),
            Some((at, value)) => {
                let number = value.and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
                number.ok_or_else(|| format!("there is no number at `{at}` of image {n}"))?
            }
        };
        let flag = |at: &Option<String>, otherwise: bool| match at.as_ref().map(|at| (at, member.pointer(at))) {
            None => Ok(otherwise),
            Some((_, Some(Value::Bool(flag)))) => Ok(*flag),
            Some((at, _)) => Err(format!("there is neither true nor false at `{at}` of image {n}")),
        };
        let (active, confirmed, pending) = (flag(&self.active, n == 0)?, flag(&self.confirmed, false)?, flag(&self.pending, false)?);
        Ok(ImageState { slot, version, hash, active, confirmed, pending, permanent: false, bootable: active })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn one_image_that_runs() {
        let pointers = Pointers { version: "/fw/version".into(), hash: Some("/fw/sha".into()), ..Pointers::default() };
        let images = pointers.images(br#"{"fw": {"version": "1.2.0\u001b", "sha": "00fF"}}"#).unwrap();
        assert_eq!((images.len(), images[0].version.as_str(), &images[0].hash[..]), (1, "1.2.0\\u{1b}", &[0, 255][..]));
        assert_eq!((images[0].slot, images[0].active, images[0].confirmed), (0, true, false));
    }

    #[test]
    fn a_list_with_flags() {
        let pointers = Pointers {
            images: Some("/slots".into()),
            version: "/v".into(),
            slot: Some("/n".into()),
            active: Some("/run".into()),
            confirmed: Some("/ok".into()),
            pending: Some("/next".into()),
            ..Pointers::default()
        };
        let text =
            br#"{"slots": [{"v": 3, "n": 1, "run": false, "ok": false, "next": true}, {"v": "2", "n": 0, "run": true, "ok": true, "next": false}]}"#;
        let images = pointers.images(text).unwrap();
        assert_eq!((images[0].slot, images[0].version.as_str(), images[0].active, images[0].pending), (1, "3", false, true));
        assert_eq!((images[1].slot, images[1].active, images[1].confirmed), (0, true, true));
    }

    #[rstest]
    #[case::no_json("<html>", "no JSON")]
    #[case::no_version("{}", "no version at `/v`")]
    #[case::version_of_another_kind(r#"{"v": [1]}"#, "no version")]
    #[case::no_hash(r#"{"v": "1"}"#, "no hexadecimal hash")]
    #[case::hash_of_letters(r#"{"v": "1", "h": "xy"}"#, "no hexadecimal hash")]
    fn what_is_missing_is_named(#[case] text: &str, #[case] why: &str) {
        let pointers = Pointers { version: "/v".into(), hash: Some("/h".into()), ..Pointers::default() };
        let e = pointers.images(text.as_bytes()).unwrap_err();
        assert!(e.contains(why) && e.len() < 400, "{e}");
    }

    #[test]
    fn a_list_without_end_is_not_read() {
        let pointers = Pointers { images: Some("/l".into()), version: "".into(), ..Pointers::default() };
        let text = format!("{{\"l\": [{}\"1\"]}}", "\"1\",".repeat(100));
        assert!(pointers.images(text.as_bytes()).unwrap_err().contains("101 images"));
    }
}
