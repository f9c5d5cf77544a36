//! A first version of the three files, made from the catalogue: every provision with its status and condition, every table with its fields.
//!
//! Nothing in it is an answer. The ICS has a row for each provision whose `support` is empty, which reading refuses line by line; the rows of the IXIT are
//! commented out, since an empty cell can be a statement. In a commented line `#key = ""` is to be used, `# words` are for people.

use crate::catalogue::{Catalogue, Obligation, Status};
use crate::verdict::Method;
use std::fmt::Write;

/// The three files by name.
pub fn files() -> [(&'static str, String); 3] {
    let catalogue = Catalogue::load();
    [("device.toml", device()), ("ics.toml", ics(catalogue)), ("ixit.toml", ixit(catalogue))]
}

fn device() -> String {
    DEVICE.to_owned()
}

/// Keys of `device.toml`; a test holds them against the types.
const DEVICE: &str = r#"# Who made what, which unit is on the bench, and how a rig sees it. Fill the quotes; `proofbench check` tells what is missing.
format = 1

[identification]
name = ""
model = ""
brand = ""
# Hardware release.
hardware = ""
# Firmware as delivered; one of the images of [[UpdMech]] in ixit.toml.
firmware = ""
os = ""
# Associated services: ["cloud (MQTT broker mqtt.example)"]
services = []
# Constrained: it cannot do some things for lack of memory, power, bandwidth or a user interface. Without a reason no N/A may rest on it.
constrained = false
#constrained-because = ""
supplier = ""
contact = ""
# Date of this form.
date = ""

# The unit on the bench. What stands here is never written to a journal.
[sample]
serial = ""
#label = { user = "", secret = "" }

# What a rig sees on the console. Patterns are regular expressions over one line; group `value` is what is read.
[bind]
# The line that says that the device's local function is up, and the longest time until then from power-on.
ready = '^ready'
ready-within-ms = 10000
recovery-within-ms = 60000
# First line of every boot; its value is unique to that boot.
boot-id = '^boot id=(?P<value>[0-9a-f]+)'
reset-cause = 'cause=(?P<value>[a-z-]+)'
# Lines that end any wait: panics, a boot loader that stopped.
tripwires = []

# What the device calls its reset causes; leave out those that it cannot tell.
[bind.causes]
power-on = "power-on"
#pin = "pin"
#watchdog = "watchdog"
#software = "software"
#brown-out = "brown-out"

# Further tables, where the device has such a thing: [bind.login] (console login), [bind.web] (its own interface on the network), [bind.ask] and [bind.act]
# (questions and acts by name), [bind.regions] (areas of the storage image), [bind.led]. docs/dossier.md names an example of each.
"#;

fn ics(catalogue: &Catalogue) -> String {
    let mut out = String::from(
        "# The implementation conformance statement: one row per provision of EN 303 645 V2.1.1, with its status after TS 103 701 V1.1.1, Annex A.3.\n\
         # support is \"Y\" (claimed), \"N\" (not claimed; only where the status is R, and with a reason in detail) or \"N/A\" (only where a condition stands,\n\
         # which does not hold, and with a reason in detail). An empty support is no answer: `proofbench check` names each.\n\
         format = 1\n",
    );
    let mut clause = "";
    for p in catalogue.provisions() {
        if p.clause != clause {
            clause = &p.clause;
            let _ = write!(out, "\n# ---- {} {}\n", p.clause, p.title);
        }
        let status = p.status(Method::Ts103701);
        let _ = write!(out, "\n# {}: {}\n# {}\n", p.id, p.summary, status_words(status));
        for c in status.conditions.iter().filter_map(|n| catalogue.condition(Method::Ts103701, *n)) {
            let _ = writeln!(out, "# condition {}: {}", c.number, c.text);
        }
        let _ = write!(out, "[[provision]]\nid = \"{}\"\nsupport = \"\"\ndetail = \"\"\n", p.id);
    }
    out.push_str("\n# ---- The conditions: your word on each, needed where the IXIT does not show it. Uncomment those that an N/A rests on, with the reason in detail.\n");
    for c in catalogue.conditions(Method::Ts103701) {
        let by: Vec<&str> =
            catalogue.provisions().iter().filter(|p| p.status(Method::Ts103701).conditions.contains(&c.number)).map(|p| p.id.as_str()).collect();
        let _ = write!(out, "\n# {} (of {})\n#[[condition]]\n#number = {}\n#holds = false\n#detail = \"\"\n", c.text, by.join(", "), c.number);
    }
    out
}

/// The status in words.
pub(super) fn status_words(status: &Status) -> String {
    let obligation = if status.obligation == Obligation::Mandatory { "mandatory (M)" } else { "recommended (R)" };
    if status.conditional { format!("{obligation}, conditional (C): N/A where a condition does not hold") } else { obligation.to_owned() }
}

fn ixit(catalogue: &Catalogue) -> String {
    let mut out = String::from(
        "# The 29 IXIT tables of TS 103 701 V1.1.1. Uncomment a table's block once for each item of its kind; the tables list all items there are.\n\
         # Only what claimed provisions need must be filled: `proofbench check` names it. A table that has no items is said to be empty, with the reason:\n\
         #[[empty]]\n\
         #table = \"ExtSens\"\n\
         #because = \"\"\n\
         # Under a row, [Table.bind] tells a rig how to do or measure what the prose says; docs/dossier.md names an example of each kind.\n\
         format = 1\n",
    );
    for table in catalogue.tables() {
        let _ = write!(out, "\n# ---- {}-{}: {}\n", table.number, table.name, table.title);
        let by: Vec<&str> = catalogue
            .provisions()
            .iter()
            .filter(|p| catalogue.needed_fields(&p.id).iter().any(|n| n.table == table.number))
            .map(|p| p.id.as_str())
            .collect();
        let _ = writeln!(out, "# needed by {}", by.join(", "));
        if table.has_rows {
            let _ = write!(out, "#[[{}]]\n#id = \"{}-1\"\n", table.name, table.name);
        } else {
            let _ = writeln!(out, "#[{}]", table.name);
        }
        for field in &table.fields {
            let _ = writeln!(out, "# {}: {}\n#{} = \"\"", field.name, field.meaning, field.key);
        }
    }
    out
}
