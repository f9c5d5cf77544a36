//! Which IXIT fields a claimed provision needs: TS 103 701 Annex B, and the fields its units name where the annex leaves them out.

use super::{Catalogue, Need};
use crate::ids::ProvisionId;

/// Provision, and per table the field keys. `*` stands for every field of the table. D = `description`.
const MAP: &[(&str, &[(u8, &str)])] = &[
    ("4-1", &[]),
    ("5.1-1", &[(1, "description authentication-factor password-generation-mechanism")]),
    ("5.1-2", &[(1, "description authentication-factor password-generation-mechanism")]),
    ("5.1-3", &[(1, "description security-guarantees cryptographic-details")]),
    ("5.1-4", &[(1, "description"), (2, "documentation-of-change-mechanisms")]),
    ("5.1-5", &[(1, "description brute-force-prevention")]),
    ("5.2-1", &[(2, "publication-of-vulnerability-disclosure-policy")]),
    (
        "5.2-2",
        &[(2, "publication-of-vulnerability-disclosure-policy"), (3, "description action time-frame"), (4, "confirmation-of-vulnerability-actions")],
    ),
    ("5.2-3", &[(4, "confirmation-of-vulnerability-monitoring"), (5, "description")]),
    ("5.3-1", &[(6, "description update-mechanism"), (7, "description security-guarantees cryptographic-details initiation-and-interaction")]),
    ("5.3-2", &[(7, "description security-guarantees cryptographic-details initiation-and-interaction")]),
    ("5.3-3", &[(6, "description update-mechanism"), (7, "description initiation-and-interaction")]),
    ("5.3-4", &[(6, "description update-mechanism"), (7, "description initiation-and-interaction configuration")]),
    ("5.3-5", &[(7, "description update-checking")]),
    ("5.3-6", &[(7, "description initiation-and-interaction configuration user-notification")]),
    ("5.3-7", &[(7, "description security-guarantees cryptographic-details")]),
    ("5.3-8", &[(4, "confirmation-of-update-procedures"), (8, "description time-frame")]),
    ("5.3-9", &[(7, "description security-guarantees cryptographic-details")]),
    ("5.3-10", &[(7, "description security-guarantees cryptographic-details")]),
    ("5.3-11", &[(7, "description user-notification")]),
    ("5.3-12", &[(7, "description user-notification")]),
    ("5.3-13", &[(2, "support-period publication-of-support-period")]),
    ("5.3-14", &[(2, "documentation-of-replacement publication-of-non-updatable")]),
    ("5.3-15", &[(9, "isolation hardware-replacement")]),
    ("5.3-16", &[(2, "model-designation")]),
    ("5.4-1", &[(10, "description type security-guarantees protection-scheme")]),
    ("5.4-2", &[(10, "description type security-guarantees protection-scheme")]),
    ("5.4-3", &[(10, "description type provisioning-mechanism")]),
    ("5.4-4", &[(10, "description type generation-mechanism")]),
    ("5.5-1", &[(11, "description security-guarantees cryptographic-details")]),
    ("5.5-2", &[(12, "*")]),
    ("5.5-3", &[(6, "description update-mechanism cryptographic-usage"), (7, "description")]),
    ("5.5-4", &[(1, "description security-guarantees cryptographic-details"), (13, "description authentication-mechanism")]),
    (
        "5.5-5",
        // Table 11 is not in the annex; unit 5.5-5-2 b looks for undeclared mechanisms in it.
        &[
            (1, "description security-guarantees cryptographic-details"),
            (11, "description"),
            (13, "description authentication-mechanism allows-configuration"),
        ],
    ),
    ("5.5-6", &[(10, "description type communication-mechanisms"), (11, "description security-guarantees cryptographic-details")]),
    ("5.5-7", &[(10, "description type communication-mechanisms"), (11, "description security-guarantees cryptographic-details")]),
    ("5.5-8", &[(4, "confirmation-of-secure-management"), (14, "description")]),
    ("5.6-1", &[(15, "description type status")]),
    ("5.6-2", &[(15, "description type disclosed-information")]),
    ("5.6-3", &[(15, "description type status protection")]),
    ("5.6-4", &[(15, "description type status protection debug-interface")]),
    ("5.6-5", &[(13, "description status justification")]),
    ("5.6-6", &[(16, "description")]),
    ("5.6-7", &[(17, "description")]),
    ("5.6-8", &[(18, "description")]),
    ("5.6-9", &[(4, "confirmation-of-secure-development"), (19, "description")]),
    ("5.7-1", &[(20, "description security-guarantees detection-mechanisms")]),
    ("5.7-2", &[(20, "description user-notification notification-functionality")]),
    ("5.8-1", &[(11, "description security-guarantees cryptographic-details"), (21, "description communication-mechanisms")]),
    (
        "5.8-2",
        &[
            (11, "description security-guarantees cryptographic-details"),
            (21, "description communication-mechanisms processing-activities sensitive"),
        ],
    ),
    ("5.8-3", &[(2, "documentation-of-sensors"), (22, "description")]),
    ("5.9-1", &[(23, "description security-guarantees")]),
    ("5.9-2", &[(23, "description type security-guarantees")]),
    ("5.9-3", &[(11, "description resilience-measures")]),
    ("5.10-1", &[(24, "description security-examination")]),
    ("5.11-1", &[(25, "description target-type initiation-and-interaction")]),
    ("5.11-2", &[(21, "description processing-activities"), (25, "description target-type initiation-and-interaction")]),
    ("5.11-3", &[(2, "documentation-of-deletion"), (21, "description"), (25, "description target-type")]),
    // Confirmation is not in the annex; unit 5.11-4-1 b compares it.
    ("5.11-4", &[(2, "documentation-of-deletion"), (25, "description confirmation")]),
    ("5.12-1", &[(26, "*")]),
    ("5.12-2", &[(2, "documentation-of-secure-setup"), (26, "description options")]),
    ("5.12-3", &[(2, "documentation-of-setup-check")]),
    ("5.13-1", &[(11, "description"), (27, "description"), (28, "description"), (29, "description")]),
    ("6-1", &[(2, "documentation-of-personal-data"), (21, "description processing-activities")]),
    ("6-2", &[(21, "description obtaining-consent")]),
    ("6-3", &[(21, "description obtaining-consent withdrawing-consent")]),
    ("6-4", &[(21, "description"), (24, "description purpose personal-data")]),
    ("6-5", &[(2, "documentation-of-telemetry-data"), (24, "description purpose")]),
];

pub(super) fn needed(catalogue: &Catalogue, provision: &ProvisionId) -> Vec<Need> {
    let Some((_, tables)) = MAP.iter().find(|(id, _)| *id == provision.as_str()) else { return Vec::new() };
    let mut out = Vec::new();
    for (table, keys) in *tables {
        if *keys == "*" {
            let fields = catalogue.table(*table).map(|t| t.fields.as_slice()).unwrap_or_default();
            out.extend(fields.iter().map(|f| Need { table: *table, key: f.key.clone() }));
        } else {
            out.extend(keys.split(' ').map(|key| Need { table: *table, key: key.to_owned() }));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provision_has_an_entry_and_every_key_is_a_field_of_its_table() {
        let catalogue = Catalogue::load();
        assert_eq!(MAP.len(), catalogue.provisions().len());
        for provision in catalogue.provisions() {
            assert!(MAP.iter().any(|(id, _)| *id == provision.id.as_str()), "{} has no entry", provision.id);
            for need in needed(catalogue, &provision.id) {
                let table = catalogue.table(need.table).unwrap();
                assert!(table.fields.iter().any(|f| f.key == need.key), "{}: table {} has no `{}`", provision.id, need.table, need.key);
            }
        }
    }
}
