//! `list` and `explain`: what there is, and what a name means.

use crate::args::Listed;
use crate::exit::Exit;
use crate::session::check_by_id;
use anyhow::{Result, bail};
use proofbench_model::catalogue::{Catalogue, Kind};
use proofbench_model::{Method, ProvisionId, Scheme, UnitId};
use proofbench_rig::{PortInfo, builtin, serial_ports};
use proofbench_runner::check::Check;
use std::fmt::Write;

/// `list`.
pub fn list(what: Listed, all: &[&'static Check]) -> Result<Exit> {
    let text = match what {
        Listed::Checks => checks(all),
        Listed::Provisions => provisions(all),
        Listed::Profiles => profiles(),
        Listed::Units => units(all),
        Listed::Defects => defects(all),
        Listed::Ports => ports(&serial_ports()),
        Listed::Probes => crate::commands::probe::list()?,
    };
    print!("{text}");
    Ok(Exit::Good)
}

/// `explain`.
pub fn explain(all: &[&'static Check], what: &str) -> Result<Exit> {
    print!("{}", meaning(all, what)?);
    Ok(Exit::Good)
}

fn defects(all: &[&'static Check]) -> String {
    let mut out = String::new();
    for entry in builtin::defects() {
        let by: Vec<&str> = all.iter().filter(|c| c.defects.contains(&entry.name) || c.twins.contains(&entry.name)).map(|c| c.id).collect();
        let _ = writeln!(
            out,
            "{:<8} {:<28} {}\n{:38}source: {}\n{:38}checks: {}",
            format!("{:?}", entry.kind).to_lowercase(),
            entry.name,
            entry.what,
            "",
            entry.source,
            "",
            by.join(", ")
        );
    }
    for fault in builtin::faults() {
        let _ = writeln!(out, "{:<8} {:<28} {}", "fault", fault.name, fault.what);
    }
    out
}

/// Each port with the lines that name it in a rig file, the most lasting name first.
fn ports(all: &[PortInfo]) -> String {
    let mut out = String::new();
    for port in all {
        let what = port.usb.as_ref().map_or_else(
            || "no USB device".to_owned(),
            |u| {
                let words: Vec<&str> =
                    [&u.manufacturer, &u.product_name, &u.interface_name].into_iter().map(|w| w.trim()).filter(|w| !w.is_empty()).collect();
                format!("{:04x}:{:04x} {}", u.vendor, u.product, words.join(", "))
            },
        );
        let _ = writeln!(out, "{:<16} {}", port.node.display(), what.trim_end());
        if let Some(usb) = port.usb.as_ref().filter(|u| !u.serial.is_empty()) {
            let interface = usb.interface.map(|n| format!(", interface = {n}")).unwrap_or_default();
            let _ = writeln!(out, "{:17}port = {{ usb-serial = \"{}\"{interface} }}", "", usb.serial);
        }
        if let Some(name) = &port.by_id {
            let _ = writeln!(out, "{:17}port = {{ by-id = \"{name}\" }}", "");
        }
        if let Some(name) = &port.by_path {
            let _ = writeln!(out, "{:17}port = {{ by-path = \"{name}\" }}", "");
        }
    }
    let _ = writeln!(out, "{} serial ports", all.len());
    out
}

fn checks(all: &[&'static Check]) -> String {
    let mut out = String::new();
    for check in all {
        let _ = writeln!(out, "{:<36} {:<34} {}", check.id, check.units.join(", "), check.title);
    }
    let _ = writeln!(out, "{} checks", all.len());
    out
}

fn provisions(all: &[&'static Check]) -> String {
    let catalogue = Catalogue::load();
    let mut out = String::new();
    for p in catalogue.provisions() {
        let n = all.iter().filter(|c| c.units.iter().filter_map(|u| u.parse::<UnitId>().ok()).any(|u| u.provision() == p.id)).count();
        let _ = writeln!(out, "{:<8} {:<12} {:>2} checks  {}", p.id, p.status(Method::Ts103701).text(), n, p.summary);
    }
    let _ = writeln!(out, "{} provisions", catalogue.provisions().len());
    out
}

fn profiles() -> String {
    let mut out = String::new();
    for scheme in Scheme::all() {
        let _ = writeln!(out, "{:<14} {}", scheme.name, scheme.title);
        if !scheme.scope.is_empty() {
            let ids: Vec<&str> = scheme.scope.iter().map(|p| p.as_str()).collect();
            let _ = writeln!(out, "{:15}speaks of {} only", "", ids.join(", "));
        }
        if let Some(why) = &scheme.no_verdict {
            let _ = writeln!(out, "{:15}gives no overall verdict: {why}", "");
        }
        for note in &scheme.notes {
            let _ = writeln!(out, "{:15}{note}", "");
        }
    }
    let _ = writeln!(out, "{} profiles", Scheme::all().len());
    out
}

fn units(all: &[&'static Check]) -> String {
    let catalogue = Catalogue::load();
    let mut out = String::new();
    let mut count = 0;
    for unit in catalogue.units() {
        count += 1;
        let text = unit.to_string();
        let by: Vec<&str> = all.iter().filter(|c| c.units.contains(&text.as_str())).map(|c| c.id).collect();
        let _ = writeln!(out, "{:<12} {:<10} {}", text, kind(catalogue.unit_kind(&unit)), by.join(", "));
    }
    let _ = writeln!(out, "{count} units");
    out
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Conceptual => "conceptual",
        Kind::Functional => "functional",
        Kind::Mixed => "mixed",
    }
}

fn meaning(all: &[&'static Check], what: &str) -> Result<String> {
    if let Ok(id) = what.parse::<ProvisionId>() {
        return explain_provision(all, &id);
    }
    if let Ok(unit) = what.parse::<UnitId>() {
        return explain_unit(all, &unit);
    }
    if what.contains('/') {
        return Ok(explain_check(check_by_id(all, what)?));
    }
    bail!("`{what}` is no provision (5.3-2), no test unit (5.3-2-2 b) and no check (update/genuine)")
}

fn explain_provision(all: &[&'static Check], id: &ProvisionId) -> Result<String> {
    let catalogue = Catalogue::load();
    let Some(p) = catalogue.provision(id) else { bail!("{id} is no provision of EN 303 645 V2.1.1; `list provisions` shows all 68") };
    let mut out = format!("{} {}\n  {}\n", p.id, p.title, p.summary);
    for (name, method) in [("TS 103 701 Annex A.3", Method::Ts103701), ("EN 303 645 Annex B", Method::EnAnnexB)] {
        let status = p.status(method);
        let _ = writeln!(out, "  status in {name}: {}", status.text());
        for condition in status.conditions.iter().filter_map(|n| catalogue.condition(method, *n)) {
            let _ = writeln!(out, "    condition {}: {}", condition.number, condition.text);
        }
    }
    for case in p.cases.iter().filter_map(|c| catalogue.case(c)) {
        let _ = writeln!(out, "  case {} ({}): {}", case.id, kind(case.kind), case.does);
        for unit in case.unit_ids() {
            let text = unit.to_string();
            let by: Vec<&str> = all.iter().filter(|c| c.units.contains(&text.as_str())).map(|c| c.id).collect();
            let _ = writeln!(out, "    {text}: {}", if by.is_empty() { "no check".to_owned() } else { by.join(", ") });
        }
    }
    Ok(out)
}

fn explain_unit(all: &[&'static Check], unit: &UnitId) -> Result<String> {
    let catalogue = Catalogue::load();
    if !catalogue.has_unit(unit) {
        bail!("{unit} is no test unit of TS 103 701 V1.1.1; `list units` shows all 226");
    }
    let mut out = explain_provision(&[], &unit.provision())?;
    let text = unit.to_string();
    for check in all.iter().filter(|c| c.units.contains(&text.as_str())) {
        out.push_str(&explain_check(check));
    }
    Ok(out)
}

fn explain_check(check: &Check) -> String {
    let mut out = format!("{}\n  {}\n  bears on {}", check.id, check.title, check.units.join(", "));
    if let Some(table) = check.table {
        let _ = write!(out, ", once per row of IXIT table {table}");
    }
    let needs: Vec<String> = check.needs.iter().map(ToString::to_string).collect();
    let grants: Vec<String> = check.permissions.iter().map(ToString::to_string).collect();
    let _ = writeln!(out, "\n  needs {}", needs.join(", "));
    let _ = writeln!(out, "  permissions {}", if grants.is_empty() { "none".to_owned() } else { grants.join(", ") });
    let _ = writeln!(out, "  positive control: {}", check.control);
    let _ = writeln!(out, "  must fail: {}", check.defects.join(", "));
    let _ = writeln!(out, "  must not fail: {}", if check.twins.is_empty() { "-".to_owned() } else { check.twins.join(", ") });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_rig::UsbPort;

    #[test]
    fn a_port_is_listed_with_every_name_that_a_rig_file_takes() {
        let usb = UsbPort {
            vendor: 0x0483,
            product: 0x374b,
            serial: "066BFF504955".to_owned(),
            manufacturer: "STMicroelectronics".to_owned(),
            product_name: "STM32 STLink".to_owned(),
            interface: Some(2),
            interface_name: String::new(),
        };
        let by_id = Some("usb-ST_066BFF504955-if02".to_owned());
        let port = PortInfo { node: "/dev/ttyACM0".into(), by_id, by_path: None, usb: Some(usb) };
        let text = ports(&[port, PortInfo { node: "/dev/ttyS0".into(), by_id: None, by_path: None, usb: None }]);
        let expected = "/dev/ttyACM0     0483:374b STMicroelectronics, STM32 STLink\n\
            \x20                port = { usb-serial = \"066BFF504955\", interface = 2 }\n\
            \x20                port = { by-id = \"usb-ST_066BFF504955-if02\" }\n\
            /dev/ttyS0       no USB device\n\
            2 serial ports\n";
        assert_eq!(text, expected);
    }
}
