//! Topic names and topic filters of MQTT 3.1.1, section 4.7. The codec's own matching keeps every `$` topic from every filter, also from those that name
//! it, and cannot take names that begin with a character of several bytes.

/// Whether one can publish to it: not empty, no wildcard, no NUL.
pub(super) fn is_name(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= usize::from(u16::MAX) && !topic.contains(['+', '#', '\0'])
}

/// Whether one can subscribe to it: `+` stands alone on its level, `#` alone on the last one.
pub(super) fn is_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.len() > usize::from(u16::MAX) || filter.contains('\0') {
        return false;
    }
    let last = filter.split('/').count() - 1;
    filter.split('/').enumerate().all(|(n, level)| match level {
        "+" => true,
        "#" => n == last,
        _ => !level.contains(['+', '#']),
    })
}

/// Whether a filter picks a name. Wildcards on the first level do not pick names that begin with `$`.
pub(super) fn matches(filter: &str, name: &str) -> bool {
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = name.split('/');
    for wanted in filter.split('/') {
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("a/b", "a/b", true)]
    #[case("a/b", "a/b/c", false)]
    #[case("a/b/c", "a/b", false)]
    #[case("a/+", "a/b", true)]
    #[case("a/+", "a", false)]
    #[case("a/+", "a/", true)]
    #[case("a/+", "a/b/c", false)]
    #[case("+/+", "/a", true)]
    #[case("/+", "/a", true)]
    #[case("+", "/a", false)]
    #[case("a/+/c", "a//c", true)]
    #[case("a/#", "a", true)]
    #[case("a/#", "a/b/c/d", true)]
    #[case("a/#", "ab", false)]
    #[case("#", "a/b", true)]
    #[case("+/#", "a", true)]
    #[case("A", "a", false)]
    #[case("#", "$SYS/a", false)]
    #[case("+/a", "$SYS/a", false)]
    #[case("$SYS/#", "$SYS/a", true)]
    #[case("$SYS/+", "$SYS/a", true)]
    #[case("a/+", "a/$b", true)]
    #[case("ü/+", "ü/ä", true)]
    fn filters_pick_names(#[case] filter: &str, #[case] name: &str, #[case] picked: bool) {
        assert!(is_filter(filter) && is_name(name));
        assert_eq!(matches(filter, name), picked);
    }

    #[rstest]
    #[case("", false)]
    #[case("a\0", false)]
    #[case("a+", false)]
    #[case("+a/b", false)]
    #[case("a#", false)]
    #[case("#/a", false)]
    #[case("a/#/b", false)]
    #[case("##", false)]
    #[case("/", true)]
    #[case("+/a/+/#", true)]
    fn filters_are_told_from_what_is_none(#[case] filter: &str, #[case] good: bool) {
        assert_eq!(is_filter(filter), good);
    }

    #[rstest]
    #[case("", false)]
    #[case("a/+", false)]
    #[case("a/#", false)]
    #[case("a\0b", false)]
    #[case("/", true)]
    #[case("a b/ü", true)]
    fn names_are_told_from_what_is_none(#[case] name: &str, #[case] good: bool) {
        assert_eq!(is_name(name), good);
    }

    proptest! {
        #[test]
        fn a_name_is_picked_by_its_generalisations_and_not_after_another_level(
            levels in prop::collection::vec("[a-cü]{0,2}", 1..5),
            plus in prop::collection::vec(any::<bool>(), 5),
            cut in prop::option::of(0usize..5),
        ) {
            let name = levels.join("/");
            prop_assume!(is_name(&name));
            let mut general: Vec<&str> = levels.iter().zip(&plus).map(|(l, p)| if *p { "+" } else { l }).collect();
            if let Some(cut) = cut.filter(|c| *c <= general.len()) {
                general.truncate(cut);
                general.push("#");
            }
            let filter = general.join("/");
            prop_assume!(is_filter(&filter));
            prop_assert!(matches(&filter, &name), "{filter} {name}");
            prop_assert_eq!(matches(&filter, &format!("{name}/x")), general.last() == Some(&"#"));
            let deeper = format!("x/{filter}");
            prop_assert!(!matches(&deeper, &name), "{deeper} {name}");
        }

        #[test]
        fn any_text_is_looked_at_without_harm(filter in ".*", name in ".*") {
            let _ = (is_filter(&filter), is_name(&name), matches(&filter, &name));
        }
    }
}
