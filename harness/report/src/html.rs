//! `report.html`: the run on one page for people: conclusion first, then figures, what fails, every provision, every check, and what the bench did.
//!
//! The page stands alone: no script, no font, no image, no address but the evidence files beside it. Everything that a device, a dossier or a person
//! wrote goes through [`words::said`] and is escaped by the template engine; no template switches that off. Every list is bounded and says what it left
//! out and where that is found. The markup is well-formed XML too, so that a test can parse it.

mod amendments;
mod axis;
mod bench;
mod checks;
mod conclusion;
mod cuts;
mod debug_port;
mod findings;
mod indexed;
mod provisions;
mod rig;
mod timeline;
mod words;

use crate::coverage;
use crate::instances::Instances;
use crate::run::Run;
use indexed::Indexed;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

/// The templates by name. `style.css` holds no text of a run.
const TEMPLATES: [(&str, &str); 8] = [
    ("page.html", include_str!("../templates/page.html")),
    ("words.html", include_str!("../templates/words.html")),
    ("findings.html", include_str!("../templates/findings.html")),
    ("provisions.html", include_str!("../templates/provisions.html")),
    ("profile.html", include_str!("../templates/profile.html")),
    ("bench.html", include_str!("../templates/bench.html")),
    ("rig.html", include_str!("../templates/rig.html")),
    ("style.css", include_str!("../templates/style.css")),
];

/// The page could not be made: a template does not fit what it is given.
#[derive(Debug, thiserror::Error)]
#[error("fill the templates of report.html")]
pub struct HtmlError(#[from] minijinja::Error);

/// What the templates are filled with, one member per section.
#[derive(Serialize)]
struct Page {
    conclusion: conclusion::Conclusion,
    findings: findings::Findings,
    profile: Option<OtherEdition>,
    clauses: Vec<provisions::Clause>,
    checks: words::List<checks::CheckRow>,
    timelines: Vec<timeline::Timeline>,
    cuts: words::List<cuts::CutMap>,
    debug_port: Option<debug_port::Matrix>,
    chips: String,
    amendments: words::List<amendments::Entry>,
    rig: rig::Rig,
}

/// Results by the numbers of another edition.
#[derive(Serialize)]
struct OtherEdition {
    edition: String,
    rows: Vec<crate::profile::LaterRow>,
}

/// The whole page.
pub fn page(run: &Run<'_>) -> Result<String, HtmlError> {
    let instances = Instances::of(run.journal);
    let indexed = Indexed::of(run, &instances);
    let covered = coverage::of_instances(run, &instances);
    let bench = bench::Bench::of(run.journal);
    let page = Page {
        conclusion: conclusion::of(run, &covered),
        findings: findings::of(run, &indexed),
        profile: crate::profile::special(run)
            .and_then(|s| s.edition.clone())
            .map(|edition| OtherEdition { edition, rows: crate::profile::later(run) }),
        clauses: provisions::of(run, &indexed, &covered),
        checks: checks::of(run, &indexed, &bench),
        timelines: timeline::of(&indexed, &bench),
        cuts: cuts::of(&indexed, &bench),
        debug_port: debug_port::of(run.journal),
        chips: words::said(&crate::chips::cited(run, indexed.instances), 8000),
        amendments: amendments::of(run.journal),
        rig: rig::of(run),
    };
    let mut templates = Environment::new();
    // The default goes by file name. Here everything is escaped: a template that is renamed must not start to trust a device.
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, source) in TEMPLATES {
        templates.add_template(name, source)?;
    }
    Ok(templates.get_template("page.html")?.render(Serde(&page))?)
}

#[cfg(test)]
mod tests {
    use super::TEMPLATES;

    #[test]
    fn no_template_switches_escaping_off_or_fetches_anything() {
        for (name, source) in TEMPLATES {
            for word in ["|safe", "| safe", "autoescape", "<script", "http:", "https:", "@import", "url(", "javascript"] {
                let namespace_free = source.replace("http://www.w3.org/1999/xhtml", "");
                assert!(!namespace_free.contains(word), "{name} contains {word}");
            }
        }
    }
}
