//! `ixit.toml`: the 29 tables, each row with its prose and, where a check can act on it, its binding.

use super::NamedText;
use super::error::{DossierError, nearest};
use super::read::{Reader, own};
use crate::bind::{AuthBind, ComBind, DecBind, DelBind, InputBind, IntfBind, ResBind, SecBootBind, SensBind, ServBind, StoreBind, TelBind, UpdBind};
use crate::catalogue::{Catalogue, Table};
use crate::ids::RowId;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The binding of a row; its type follows from the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// Table 1.
    Auth(Box<AuthBind>),
    /// Table 7.
    Upd(Box<UpdBind>),
    /// Tables 10 and 21.
    Store(Box<StoreBind>),
    /// Table 11.
    Com(ComBind),
    /// Table 13.
    Serv(ServBind),
    /// Table 15.
    Intf(IntfBind),
    /// Table 20.
    SecBoot(SecBootBind),
    /// Table 22.
    Sens(SensBind),
    /// Table 23.
    Res(ResBind),
    /// Table 24.
    Tel(Box<TelBind>),
    /// Table 25.
    Del(Box<DelBind>),
    /// Table 26.
    Dec(DecBind),
    /// Tables 27 and 28.
    Input(InputBind),
}

/// A row of a table, or the whole of a table without rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Table and row.
    pub id: RowId,
    /// Prose by field key.
    pub fields: BTreeMap<String, String>,
    /// The binding.
    pub bind: Option<Bind>,
    /// Where it stands in the file; 0 for a row made by a program.
    pub line: usize,
}

macro_rules! bind_accessor {
    ($name:ident, $variant:ident, $type:ty) => {
        #[doc = concat!("The binding, if it is one of type [`", stringify!($type), "`].")]
        pub fn $name(&self) -> Option<&$type> {
            match &self.bind {
                Some(Bind::$variant(bind)) => Some(bind),
                _ => None,
            }
        }
    };
}

impl Row {
    bind_accessor!(auth, Auth, AuthBind);
    bind_accessor!(upd, Upd, UpdBind);
    bind_accessor!(store, Store, StoreBind);
    bind_accessor!(com, Com, ComBind);
    bind_accessor!(serv, Serv, ServBind);
    bind_accessor!(intf, Intf, IntfBind);
    bind_accessor!(sec_boot, SecBoot, SecBootBind);
    bind_accessor!(sens, Sens, SensBind);
    bind_accessor!(res, Res, ResBind);
    bind_accessor!(tel, Tel, TelBind);
    bind_accessor!(del_any, Del, DelBind);
    bind_accessor!(dec, Dec, DecBind);
    bind_accessor!(input, Input, InputBind);

    /// The binding of a deletion function that is worked at the device itself ([`DelBind::at_device`]); [`Row::del_any`] gives the others as well.
    pub fn del(&self) -> Option<&DelBind> {
        self.del_any().filter(|d| d.at_device())
    }

    /// A field's prose; none if the supplier left it out.
    pub fn field(&self, key: &str) -> Option<&str> {
        self.fields.get(key).map(String::as_str)
    }

    /// Rows of other tables that a field names, separated by commas or white space.
    pub fn names(&self, key: &str) -> Vec<&str> {
        let text = self.field(key).unwrap_or_default();
        text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty()).collect()
    }
}

/// The supplier's word that a table has no rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmptyTable {
    /// The table's number.
    pub table: u8,
    /// Why it is empty.
    pub because: String,
}

/// The 29 tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ixit {
    rows: BTreeMap<u8, Vec<Row>>,
    empty: BTreeMap<u8, EmptyTable>,
}

impl Ixit {
    /// Tables from rows and explicit statements of emptiness.
    pub fn new(rows: impl IntoIterator<Item = Row>, empty: impl IntoIterator<Item = EmptyTable>) -> Self {
        let mut out = Self::default();
        for row in rows {
            out.rows.entry(row.id.table).or_default().push(row);
        }
        out.empty = empty.into_iter().map(|e| (e.table, e)).collect();
        out
    }

    /// The rows of a table.
    pub fn rows(&self, table: u8) -> &[Row] {
        self.rows.get(&table).map(Vec::as_slice).unwrap_or_default()
    }

    /// A row.
    pub fn row(&self, id: &RowId) -> Option<&Row> {
        self.rows(id.table).iter().find(|r| r.id == *id)
    }

    /// The supplier's word that a table is empty.
    pub fn declared_empty(&self, table: u8) -> Option<&EmptyTable> {
        self.empty.get(&table)
    }

    /// All rows of all tables.
    pub fn all_rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().flatten()
    }
}

pub(super) fn parse(file: &NamedText) -> Result<Ixit, Vec<DossierError>> {
    let catalogue = Catalogue::load();
    let mut reader = Reader::new(file);
    let Some(root) = reader.root() else { return Err(reader.errors) };
    reader.format(&root);
    let mut known: Vec<&str> = vec!["format", "empty"];
    known.extend(catalogue.tables().iter().map(|t| t.name.as_str()));
    reader.only_keys(&root, &known);
    let mut ixit = Ixit::default();
    for table in catalogue.tables() {
        let Some(value) = root.get(table.name.as_str()) else { continue };
        if table.has_rows {
            let mut seen: BTreeMap<String, usize> = BTreeMap::new();
            for (span, entry) in reader.tables(value, &table.name) {
                if let Some(row) = row(&mut reader, table, span, entry, &mut seen) {
                    ixit.rows.entry(table.number).or_default().push(row);
                }
            }
        } else if let Some(entry) = reader.table(value, &table.name) {
            let id = RowId { table: table.number, row: table.name.clone() };
            let row = Row { id, fields: fields(&mut reader, table, entry, &[]), bind: None, line: reader.line(value.span().start) };
            ixit.rows.insert(table.number, vec![row]);
        }
    }
    if let Some(value) = root.get("empty") {
        for (span, entry) in reader.tables(value, "empty") {
            empty(&mut reader, catalogue, span, entry, &mut ixit);
        }
    }
    if reader.errors.is_empty() { Ok(ixit) } else { Err(reader.errors) }
}

fn row(reader: &mut Reader<'_>, table: &Table, span: Range<usize>, entry: &DeTable<'_>, seen: &mut BTreeMap<String, usize>) -> Option<Row> {
    let bindable = bind_type(table.number).is_some();
    let extra: &[&str] = if bindable { &["id", "bind"] } else { &["id"] };
    let fields = fields(reader, table, entry, extra);
    let bind = if bindable { entry.get("bind").and_then(|v| bind(reader, table.number, v)) } else { None };
    let value = reader.required(entry, span, "id", &format!("a row of {}", table.name))?;
    let id = reader.text(value, "id")?;
    let line = reader.line(value.span().start);
    if id.is_empty() || id.contains(|c: char| c == ',' || c == '/' || c.is_whitespace()) {
        reader.error(
            value.span(),
            &id,
            "no id of a row: it must not be empty and must not contain commas, slashes or spaces",
            vec![format!("{}-1", table.name)],
        );
        return None;
    }
    if let Some(first) = seen.insert(id.clone(), line) {
        reader.error(value.span(), &id, format!("{} has a row of this id already, in line {first}", table.name), Vec::new());
        return None;
    }
    Some(Row { id: RowId { table: table.number, row: id }, fields, bind, line })
}

fn fields(reader: &mut Reader<'_>, table: &Table, entry: &DeTable<'_>, extra: &[&str]) -> BTreeMap<String, String> {
    let mut valid: Vec<&str> = extra.to_vec();
    valid.extend(table.fields.iter().map(|f| f.key.as_str()));
    reader.only_keys(entry, &valid);
    let mut out = BTreeMap::new();
    for field in &table.fields {
        if let Some(text) = entry.get(field.key.as_str()).and_then(|v| reader.text(v, &field.key)) {
            out.insert(field.key.clone(), text);
        }
    }
    out
}

fn empty(reader: &mut Reader<'_>, catalogue: &Catalogue, span: Range<usize>, entry: &DeTable<'_>, ixit: &mut Ixit) {
    reader.only_keys(entry, &["table", "because"]);
    let Some(value) = reader.required(entry, span.clone(), "table", "a statement of emptiness") else { return };
    let Some(name) = reader.text(value, "table") else { return };
    let because = reader.required(entry, span, "because", "a statement of emptiness").cloned().and_then(|v| reader.text(&v, "because"));
    let Some(table) = catalogue.table_named(&name).filter(|t| t.has_rows) else {
        let valid = nearest(&name, catalogue.tables().iter().filter(|t| t.has_rows).map(|t| t.name.as_str()), 4);
        reader.error(value.span(), &name, "no IXIT table with rows", valid);
        return;
    };
    let Some(because) = because else { return };
    if because.trim().is_empty() {
        reader.error(value.span(), &name, "an empty table needs a reason", Vec::new());
    } else if !ixit.rows(table.number).is_empty() {
        reader.error(value.span(), &name, "the table is said to be empty and has rows", Vec::new());
    } else if ixit.empty.insert(table.number, EmptyTable { table: table.number, because }).is_some() {
        reader.error(value.span(), &name, "the table is said to be empty twice", Vec::new());
    }
}

/// The texts of bindings that are one of a list: table, path of keys, list.
const CHOICES: &[(u8, &str, &[&str])] = &[
    (1, "over", &["console", "token", "web", "certificate"]),
    (7, "via", &["update-channel", "server", "command"]),
    (7, "format", &["mcuboot", "opaque"]),
    (7, "downgrade", &["refused", "allowed"]),
    (7, "same-version", &["refused", "allowed"]),
    (10, "scheme", &["plain", "sealed", "hashed", "secure-element"]),
    (10, "kind", &["secret", "personal", "identity"]),
    (11, "role", &["client", "server"]),
    (11, "protocol", &["mqtt", "https", "http", "ntp", "dns", "mdns", "smp"]),
    (13, "transport", &["tcp", "udp"]),
    (15, "channel", &["debug-port", "console", "update-port", "button", "network"]),
    (15, "declared", &["disabled", "identification-only", "core-only", "login", "log-only", "enabled"]),
    (20, "reaction", &["stop", "fallback"]),
    (21, "scheme", &["plain", "sealed", "hashed", "secure-element"]),
    (21, "kind", &["secret", "personal", "identity"]),
    (23, "outage", &["power", "network"]),
    (25, "method", &["erase", "crypto-erase"]),
    (27, "kind", &["console", "http", "mqtt", "smp-udp", "update-port"]),
    (28, "kind", &["console", "http", "mqtt", "smp-udp", "update-port"]),
];

/// The name of the binding type of a table's rows.
fn bind_type(table: u8) -> Option<&'static str> {
    match table {
        1 => Some("authentication"),
        7 => Some("update"),
        10 | 21 => Some("store"),
        11 => Some("communication"),
        13 => Some("service"),
        15 => Some("interface"),
        20 => Some("secure boot"),
        22 => Some("sensor"),
        23 => Some("resilience"),
        24 => Some("telemetry"),
        25 => Some("deletion"),
        26 => Some("decision"),
        27 | 28 => Some("input"),
        _ => None,
    }
}

fn bind(reader: &mut Reader<'_>, table: u8, value: &Spanned<DeValue<'_>>) -> Option<Bind> {
    let entries = reader.table(value, "bind")?;
    for (_, key, valid) in CHOICES.iter().filter(|(t, ..)| *t == table) {
        let Some(item) = entries.get(*key) else { continue };
        if let Some(text) = item.get_ref().as_str().filter(|t| !valid.contains(t)) {
            reader.error(item.span(), text, format!("unknown `{key}`"), own(valid));
        }
    }
    match table {
        1 => reader.typed(value).map(|bind| Bind::Auth(Box::new(bind))),
        7 => reader.typed(value).map(|bind| Bind::Upd(Box::new(bind))),
        10 | 21 => reader.typed(value).map(|bind| Bind::Store(Box::new(bind))),
        11 => reader.typed(value).map(Bind::Com),
        13 => reader.typed(value).map(Bind::Serv),
        15 => reader.typed(value).map(Bind::Intf),
        20 => reader.typed(value).map(Bind::SecBoot),
        22 => reader.typed(value).map(Bind::Sens),
        23 => reader.typed(value).map(Bind::Res),
        24 => reader.typed(value).map(|bind| Bind::Tel(Box::new(bind))),
        25 => reader.typed(value).map(|bind| Bind::Del(Box::new(bind))),
        26 => reader.typed(value).map(Bind::Dec),
        27 | 28 => reader.typed(value).map(Bind::Input),
        _ => None,
    }
}
