//! The parser takes any bytes; what the writer makes, the parser reads; no variant of the matrix would pass the maker's key.
#![allow(clippy::unwrap_used)] // a test that cannot read its fixture has failed

use proofbench_image::matrix::{self, Expect, Family, Part, Policy};
use proofbench_image::mcuboot::{HEADER_LEN, kind};
use proofbench_image::{Image, ImageSpec, Malformed, Seal, SigningKey, Version, seal};
use proptest::prelude::*;
use rstest::rstest;
use std::collections::BTreeSet;

fn maker() -> SigningKey {
    SigningKey::from_pem(include_str!("../../../fixtures/keys/maker-ed25519.pem")).unwrap()
}

fn spec(payload: Vec<u8>) -> ImageSpec {
    ImageSpec { version: "1.3.0".parse().unwrap(), counter: Some(2), model: Some(b"TH-1".to_vec()), header_size: 0x40, payload }
}

fn genuine() -> Vec<u8> {
    spec((0..5000u32).flat_map(u32::to_le_bytes).collect()).build(&Seal::Signed(&maker())).unwrap()
}

prop_compose! {
    fn any_spec()(
        major in any::<u8>(), minor in any::<u8>(), revision in any::<u16>(), build in any::<u32>(),
        counter in any::<Option<u32>>(), model in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        header_size in 32u16..600, payload in proptest::collection::vec(any::<u8>(), 0..3000),
    ) -> ImageSpec {
        ImageSpec { version: Version { major, minor, revision, build }, counter, model, header_size, payload }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Image::parse(&bytes);
    }

    #[test]
    fn damage_anywhere_in_an_image_is_read_or_refused(at in 0usize..20300, value in any::<u8>(), len in 0usize..20400) {
        let mut bytes = genuine();
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(len);
        if let Ok(image) = Image::parse(&bytes) {
            // Every accessor stays inside the file whatever the fields say.
            let _ = (image.intact(), image.counter(), image.model().map(<[u8]>::len), image.tail().len(), image.payload(), image.digest());
            for t in image.protected.iter().chain(&image.unprotected) {
                prop_assert!(image.value(t).len() <= bytes.len());
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back(spec in any_spec()) {
        let bytes = spec.build(&Seal::Signed(&maker())).unwrap();
        let image = Image::parse(&bytes).unwrap();
        prop_assert_eq!(image.header.version, spec.version);
        prop_assert_eq!(image.counter(), spec.counter);
        prop_assert_eq!(image.model(), spec.model.as_deref());
        prop_assert_eq!(&bytes[image.payload()], &spec.payload[..]);
        prop_assert!(image.verified_by(&maker().public()));
        prop_assert!(image.tail().is_empty());
    }

    #[test]
    fn the_matrix_of_any_image_holds_nothing_that_the_maker_signed(spec in any_spec()) {
        let bytes = spec.build(&Seal::Signed(&maker())).unwrap();
        for v in matrix::all(&bytes, 8192).unwrap() {
            prop_assert_ne!(&v.bytes, &bytes, "{} changes nothing", v.id);
            if v.expect == Expect::Refused {
                let passes = Image::parse(&v.bytes).is_ok_and(|i| i.verified_by(&maker().public()) && v.bytes.len() <= 8192);
                prop_assert!(!passes, "{} would be right to install", v.id);
            }
        }
    }
}

#[test]
fn a_matrix_has_every_family_and_no_name_twice() {
    let variants = matrix::all(&genuine(), 0x10000).unwrap();
    let names: BTreeSet<_> = variants.iter().map(|v| v.id).collect();
    assert_eq!(names.len(), variants.len());
    for family in [Family::Flip, Family::Rehash, Family::Unsigned, Family::OtherKey, Family::Length, Family::Field] {
        assert!(variants.iter().filter(|v| v.family == family).count() >= 5, "{family:?}");
    }
    for part in [Part::Header, Part::HeaderPadding, Part::Payload, Part::Protected, Part::Unprotected, Part::Signature, Part::Length] {
        assert!(variants.iter().any(|v| v.mutates == part), "{part:?}");
    }
}

#[test]
fn a_flip_changes_one_bit_and_a_rehash_leaves_an_intact_hash() {
    let bytes = genuine();
    for v in matrix::all(&bytes, 0x10000).unwrap() {
        match v.family {
            Family::Flip => {
                let bits: u32 = v.bytes.iter().zip(&bytes).map(|(a, b)| (a ^ b).count_ones()).sum();
                assert_eq!((v.bytes.len(), bits), (bytes.len(), 1), "{}", v.id);
            }
            Family::Rehash | Family::OtherKey => assert!(Image::parse(&v.bytes).unwrap().intact(), "{}: its hash fits", v.id),
            _ => {}
        }
    }
}

#[test]
fn only_bytes_outside_the_signature_are_left_to_the_declaration() {
    let left: Vec<_> = matrix::all(&genuine(), 0x10000).unwrap().into_iter().filter(|v| v.expect != Expect::Refused).collect();
    assert_eq!(left.iter().map(|v| v.id).collect::<Vec<_>>(), ["flip-key-hash", "length-appended"]);
    assert!(left.iter().all(|v| v.expect == Expect::DeclaredBy(Policy::UnsignedTail)));
    let genuine = genuine();
    let appended = Image::parse(&left[1].bytes).unwrap();
    assert_eq!((appended.tail().len(), appended.digest()), (300, Image::parse(&genuine).unwrap().digest()));
}

#[test]
fn the_oversize_file_is_longer_than_the_slot() {
    let variants = matrix::family(&genuine(), 0x10000, Family::Length).unwrap();
    assert!(variants.iter().any(|v| v.bytes.len() > 0x10000));
    assert!(variants.iter().any(|v| v.bytes.is_empty()));
    assert!(variants.iter().any(|v| v.bytes.len() == 1));
}

#[rstest]
#[case::empty(vec![], Malformed::Short { what: "the header", need: 4, len: 0 })]
#[case::magic(vec![0; 64], Malformed::Magic(0))]
#[case::header_only(genuine()[..HEADER_LEN].to_vec(), Malformed::Short { what: "the payload", need: 0x40 + 20_000, len: 32 })]
fn a_refusal_names_the_byte(#[case] bytes: Vec<u8>, #[case] why: Malformed) {
    assert_eq!(Image::parse(&bytes), Err(why));
}

#[test]
fn an_endless_list_of_tlvs_is_refused() {
    let whole = spec(vec![1, 2, 3]).hashed().unwrap();
    let mut bytes = whole.clone();
    let entries = vec![0u8; 4 * 100];
    bytes.extend_from_slice(&0x6907u16.to_le_bytes());
    bytes.extend_from_slice(&u16::try_from(entries.len() + 4).unwrap().to_le_bytes());
    bytes.extend_from_slice(&entries);
    assert_eq!(Image::parse(&bytes), Err(Malformed::TooManyTlvs));
}

#[test]
fn a_claimed_version_is_the_only_change_and_breaks_the_signature() {
    let bytes = genuine();
    let v: Version = "9.0.0".parse().unwrap();
    let plain = matrix::claim_version(&bytes, v, false).unwrap();
    let fit = matrix::claim_version(&bytes, v, true).unwrap();
    let (plain, fit) = (Image::parse(&plain).unwrap(), Image::parse(&fit).unwrap());
    assert_eq!((plain.header.version, plain.intact()), (v, false));
    assert_eq!((fit.header.version, fit.intact()), (v, true));
    assert!(!fit.verified_by(&maker().public()));
}

#[test]
fn an_image_that_only_has_a_hash_has_no_signature() {
    let bytes = seal(&spec(vec![9; 100]).hashed().unwrap(), &Seal::HashOnly);
    let image = Image::parse(&bytes).unwrap();
    assert!(image.intact() && image.signature().is_none() && image.find(kind::KEY_HASH).is_none());
}
