//! Families of outlets as data: what is written to switch one, what is read back and what it means.

use proofbench_channel::{ChannelError, ErrorKind, PowerSeen};
use serde::Deserialize;
use snmp2::Oid;
use std::sync::LazyLock;

/// One family of power distribution units; see `data/pdu-families.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// How a rig file calls it.
    pub name: String,
    /// Who makes them.
    pub maker: String,
    /// Which products.
    pub what: String,
    /// MIB and objects.
    pub source: String,
    /// Against what the numbers were checked.
    pub checked: String,
    /// Indices before the outlet's, where a rig file names the outlet alone.
    #[serde(default)]
    pub before: Vec<u32>,
    /// What is written.
    pub control: Control,
    /// What says on or off.
    pub state: State,
    /// What says more.
    pub more: Option<More>,
}

/// The object that switches.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Its name in the MIB.
    pub object: String,
    /// Its OID with `{outlet}`.
    pub oid: String,
    /// Written for on.
    pub on: i64,
    /// Written for off.
    pub off: i64,
}

/// The object that says on or off.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Its name in the MIB.
    pub object: String,
    /// Its OID with `{outlet}`.
    pub oid: String,
    /// Values that mean on.
    pub on: Vec<i64>,
    /// Values that mean off.
    pub off: Vec<i64>,
}

/// The object that says that a command is pending, or that protection tripped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct More {
    /// Its name in the MIB.
    pub object: String,
    /// Its OID with `{outlet}`.
    pub oid: String,
    /// Values that mean that the outlet is on its way.
    #[serde(default)]
    pub pending: Vec<i64>,
    /// Values that mean that protection has cut it.
    #[serde(default)]
    pub tripped: Vec<i64>,
}

/// What an outlet reads as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    /// It has come to rest.
    Says(PowerSeen),
    /// A command is pending.
    Pending,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    family: Vec<Family>,
}

static TABLE: LazyLock<Result<Vec<Family>, String>> = LazyLock::new(|| {
    let table: Result<Table, _> = toml::from_str(include_str!("../../../data/pdu-families.toml"));
    table.map(|t| t.family).map_err(|e| e.to_string())
});

/// All families, for lists and for messages.
pub fn families() -> &'static [Family] {
    TABLE.as_deref().unwrap_or_default()
}

/// The family of this name; the error lists the valid ones.
pub fn family(name: &str) -> Result<&'static Family, ChannelError> {
    let table = TABLE.as_ref().map_err(|e| ChannelError::caused(ErrorKind::Driver, "read the table of PDU families", e.clone()))?;
    table.iter().find(|f| f.name == name).ok_or_else(|| {
        let valid: Vec<&str> = table.iter().map(|f| f.name.as_str()).collect();
        ChannelError::caused(ErrorKind::Unsupported, format!("use the PDU family `{name}`"), format!("valid: {}", valid.join(", ")))
    })
}

impl Family {
    /// The index of an outlet, as a rig file gives it: the outlet alone, or all indices that the family's table has.
    pub fn index(&self, outlet: &[u32]) -> Result<Vec<u32>, ChannelError> {
        match outlet {
            [one] => Ok(self.before.iter().chain([one]).copied().collect()),
            all if all.len() == self.before.len() + 1 => Ok(all.to_vec()),
            _ => {
                let doing = format!("name an outlet of the family `{}` by {} numbers", self.name, outlet.len());
                Err(ChannelError::caused(ErrorKind::Unsupported, doing, format!("it takes 1 or {}", self.before.len() + 1)))
            }
        }
    }

    /// What the outlet reads as. A value that stands in no list is `Unknown`.
    pub(super) fn reading(&self, state: i64, more: Option<i64>) -> Reading {
        let says = |list: fn(&More) -> &Vec<i64>| self.more.as_ref().zip(more).is_some_and(|(m, value)| list(m).contains(&value));
        if says(|m| &m.tripped) {
            let object = self.more.as_ref().map_or("", |m| &m.object);
            return Reading::Says(PowerSeen::Tripped(format!("{object} is {}", more.unwrap_or_default())));
        }
        if says(|m| &m.pending) {
            return Reading::Pending;
        }
        Reading::Says(match (self.state.on.contains(&state), self.state.off.contains(&state)) {
            (true, false) => PowerSeen::On,
            (false, true) => PowerSeen::Off,
            _ => PowerSeen::Unknown,
        })
    }
}

/// The OID with the outlet's index filled in.
pub(super) fn oid(template: &str, index: &[u32]) -> Result<Oid<'static>, ChannelError> {
    let index: Vec<String> = index.iter().map(u32::to_string).collect();
    let text = template.replace("{outlet}", &index.join("."));
    let arcs: Result<Vec<u64>, _> = text.split('.').map(str::parse).collect();
    let made = arcs.ok().and_then(|arcs| Oid::from(&arcs).ok());
    made.ok_or_else(|| ChannelError::new(ErrorKind::Driver, format!("make an OID of `{text}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_means_one_thing() {
        assert!(families().len() >= 5, "{:?}", TABLE.as_ref().err());
        for (n, family) in families().iter().enumerate() {
            assert!(families()[..n].iter().all(|f| f.name != family.name), "{} stands there twice", family.name);
            assert!(!family.checked.is_empty() && family.source.contains(&family.control.object), "{}", family.name);
            assert_ne!(family.control.on, family.control.off, "{}", family.name);
            assert!(family.state.on.iter().all(|v| !family.state.off.contains(v)), "{}", family.name);
            let more = family.more.iter().map(|m| &m.oid);
            for template in [&family.control.oid, &family.state.oid].into_iter().chain(more) {
                assert_eq!(template.matches("{outlet}").count(), 1, "{template}");
                oid(template, &family.index(&[3]).unwrap()).unwrap();
            }
        }
    }

    #[test]
    fn an_outlet_is_named_alone_or_by_all_its_indices() {
        let sentry = family("servertech-sentry4").unwrap();
        assert_eq!(sentry.index(&[7]).unwrap(), [1, 1, 7]);
        assert_eq!(sentry.index(&[2, 1, 7]).unwrap(), [2, 1, 7]);
        assert_eq!(sentry.index(&[1, 7]).unwrap_err().kind, ErrorKind::Unsupported);
        let text = oid(&sentry.control.oid, &[2, 1, 7]).unwrap().to_string();
        assert_eq!(text, "1.3.6.1.4.1.1718.4.1.8.5.1.2.2.1.7");
    }

    #[test]
    fn values_that_nobody_declared_are_unknown() {
        let apc = family("apc-rpdu2").unwrap();
        assert_eq!(apc.reading(2, Some(2)), Reading::Says(PowerSeen::On));
        assert_eq!(apc.reading(1, Some(2)), Reading::Says(PowerSeen::Off));
        assert_eq!(apc.reading(1, Some(1)), Reading::Pending);
        assert_eq!(apc.reading(4, Some(2)), Reading::Says(PowerSeen::Unknown));
        let sentry = family("servertech-sentry4").unwrap();
        assert!(matches!(sentry.reading(2, Some(6)), Reading::Says(PowerSeen::Tripped(why)) if why.contains("st4OutletControlState is 6")));
    }

    #[test]
    fn a_family_that_is_not_there_is_told_with_those_that_are() {
        let error = family("apc").unwrap_err();
        assert!(error.source.unwrap().to_string().contains("apc-rpdu2"));
    }
}
