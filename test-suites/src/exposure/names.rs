//! What the device calls itself and what it is made of.
//!
//! Purpose: 5.3-16-2 (the model designation is read in the declared way and is the expected one) and 5.5-2-2 a (what the device tells of its cryptographic
//! components is what was reviewed). Verdict for the latter: VIOLATED if it names a component of 12-NetSecImpl with another version than the row; a device that
//! names none passes the unit, as its case says. Controls: the question is answered; answers to strangers were seen.

use super::BUDGET;
use super::disclosure::{banners, pages};
use proofbench_runner::bench::HttpSeen;
use proofbench_runner::{Bench, Capability, Check, Trouble};

const NEEDS: &[Capability] = &[Capability::Console, Capability::Power, Capability::Network];
const MODEL_UNITS: [&str; 2] = ["5.3-16-2 a", "5.3-16-2 b"];
const LIBRARY: &str = "5.5-2-2 a";

/// Row 13.
pub const MODEL: Check = Check {
    id: "exposure/model",
    title: "the device tells its model designation in plain text, and it is the declared one",
    units: &MODEL_UNITS,
    // The unit is about the user's information (2-UserInfo), which has no rows to judge.
    table: None,
    row_wanted: None,
    needs: NEEDS,
    permissions: &[],
    defects: &["model-sdk-name"],
    twins: &["slow-boot", "answers-chunked"],
    control: "the declared question is answered",
    budget: BUDGET,
    run: model,
};

/// Row 46.
pub const LIBRARIES: Check = Check {
    id: "exposure/library-versions",
    title: "library names and versions that the device tells are those that were reviewed",
    units: &[LIBRARY],
    // Rows of 12-NetSecImpl are prose: what they name is looked up there.
    table: None,
    row_wanted: None,
    needs: NEEDS,
    permissions: &[],
    defects: &["older-library"],
    twins: &["library-named", "plain-error-page", "answers-chunked"],
    control: "requests of a stranger were answered",
    budget: BUDGET,
    run: libraries,
};

fn model(bench: &mut Bench) -> Result<(), Trouble> {
    let question = bench.web()?.model.ok_or_else(|| Trouble::IxitMissing("`model` of [bind.web] of device.toml".to_owned()))?;
    bench.serve_declared()?;
    bench.net_up()?;
    let seen = bench.http(&question, &[])?;
    let HttpSeen::Answer(answer) = &seen else { return Err(Trouble::Unreachable(format!("the model designation: {}", seen.words()))) };
    let Some(Some(told)) = bench.matches(&question.expect, answer)? else {
        return Err(Trouble::IxitAmbiguous(format!("the model designation is told otherwise than declared: {}", seen.words())));
    };
    let expected = bench.dossier().device.identification.model.clone();
    let plain = !told.is_empty() && told.chars().all(|c| !c.is_control());
    match plain {
        true => bench.satisfied(MODEL_UNITS[0], None, "the designation can be read as plain text", &format!("`{told}`")),
        false => bench.violated(MODEL_UNITS[0], None, "the designation can be read as plain text", &format!("`{}`", told.escape_default())),
    }
    match told == expected {
        true => bench.satisfied(MODEL_UNITS[1], None, &format!("it is `{expected}`"), &format!("`{told}`")),
        false => bench.violated(MODEL_UNITS[1], None, &format!("it is `{expected}`"), &format!("`{told}`")),
    }
    Ok(())
}

fn libraries(bench: &mut Bench) -> Result<(), Trouble> {
    bench.at_home()?;
    let reviewed: Vec<String> =
        bench.dossier().ixit.rows(12).iter().map(|r| r.fields.values().cloned().collect::<Vec<_>>().join(" ").to_lowercase()).collect();
    if reviewed.is_empty() {
        return Err(Trouble::IxitMissing("rows of 12-NetSecImpl".to_owned()));
    }
    let mut told = pages(bench)?;
    told.extend(banners(bench)?);
    let (mut other, mut same) = (Vec::new(), Vec::new());
    for (place, bytes) in &told {
        for (name, version) in products(&String::from_utf8_lossy(bytes)) {
            let rows: Vec<&String> = reviewed.iter().filter(|row| words(row).any(|w| w == name)).collect();
            let list = match rows.iter().any(|row| words(row).any(|w| w == version)) {
                _ if rows.is_empty() => continue,
                true => &mut same,
                false => &mut other,
            };
            let found = format!("{name} {version} ({place})");
            if !list.contains(&found) {
                list.push(found);
            }
        }
    }
    bench.strength(format!("{} answers and banners searched for names with versions", told.len()));
    let expected = "a component of 12-NetSecImpl that the device names has the version of its row";
    other.truncate(6);
    match (other.is_empty(), same.is_empty()) {
        (false, _) => bench.violated(LIBRARY, None, expected, &other.join("; ")),
        (true, false) => bench.satisfied(LIBRARY, None, expected, &same.join("; ")),
        (true, true) => bench.satisfied(LIBRARY, None, expected, "the device names none of them"),
    }
    Ok(())
}

/// Words of a row in small letters, with the points inside them.
fn words(row: &str) -> impl Iterator<Item = &str> {
    row.split(|c: char| !(c.is_alphanumeric() || c == '.' || c == '-' || c == '_')).map(|w| w.trim_end_matches('.'))
}

/// Names with versions as services tell them: `name/1.2.3`, in small letters. At most 64 of them.
fn products(text: &str) -> Vec<(String, String)> {
    let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let pairs = text.split(|c| !token(c)).filter_map(|t| t.split_once('/')).map(|(name, version)| (name, version.trim_end_matches('.')));
    let found = pairs.filter(|(name, version)| {
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && version.starts_with(|c: char| c.is_ascii_digit()) && version.contains('.')
    });
    found.take(64).map(|(n, v)| (n.to_ascii_lowercase(), v.to_ascii_lowercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_names_with_versions_and_nothing_else() {
        let found = products("HTTP/1.1 200 OK\r\nServer: OpenSSL/1.1.1f mini/2.\r\nLocation: /api/info\r\n");
        let found: Vec<String> = found.into_iter().map(|(n, v)| format!("{n} {v}")).collect();
        assert_eq!(found, ["http 1.1", "openssl 1.1.1f"]);
        assert!(words("tls by rustls 0.23.10.").any(|w| w == "0.23.10"));
    }
}
