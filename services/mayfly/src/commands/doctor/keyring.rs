//! The keyring, and whether it fits the database.

use mayfly_bootstrap::ErrorChain;
use mayfly_store::{KeyringComparison, KeyringError, RegisteredKeys, SystemClock};

use super::finding::Finding;
use crate::roles::RoleParts;

const AREA: &str = "keyring";

/// Checks the keyring of a role against the keys of its database, if that can be read.
pub(super) fn check(role: RoleParts<'_>, keys: Option<&RegisteredKeys>) -> Vec<Finding> {
    let Some(store) = role.store else { return Vec::new() };
    let (file, path) = (store.store.keyring.file(&store.data), store.store.keyring.path(&store.data));
    if matches!(file.exists(), Ok(false)) {
        return vec![match keys.filter(|keys| !keys.is_empty()) {
            None => Finding::note(
                AREA,
                "missing",
                format!("there is no keyring at {} yet", path.display()),
                "The first start creates it. Keep a copy of it then: mayfly keys export.",
            ),
            Some(_) => Finding::failure(
                AREA,
                "missing",
                format!("there is no keyring at {}, and the database needs its keys", path.display()),
                "Put a copy back before the store starts: mayfly keys import. A new keyring would not fit.",
            ),
        }];
    }
    let listed = match file.list(&SystemClock) {
        Ok(listed) => listed,
        Err(error) => return vec![unusable(&error)],
    };
    let mut findings = Vec::new();
    match keys.map(|keys| file.compare(keys)) {
        None => {}
        Some(Err(KeyringError::Mismatch(mismatch))) => findings.push(Finding::failure(
            AREA,
            "missing-key",
            mismatch.to_string(),
            "Add the keys of a copy: mayfly keys import --merge. Without them nobody can read their messages.",
        )),
        Some(Err(error)) => findings.push(unusable(&error)),
        Some(Ok(KeyringComparison { not_registered, retiring })) => {
            if !not_registered.is_empty() {
                findings.push(Finding::note(
                    AREA,
                    "new-key",
                    format!("the database does not know these keys yet: {}", not_registered.join(", ")),
                    "A store registers them when it starts, and within seconds while it runs.",
                ));
            }
            for key in retiring {
                findings.push(Finding::warning(
                    AREA,
                    "interrupted-retirement",
                    format!("the retirement of the key {key} was interrupted: it encrypts nothing, and still exists"),
                    format!("Run mayfly keys retire {key} once more."),
                ));
            }
        }
    }
    if findings.is_empty() {
        let (count, path) = (listed.len(), path.display());
        let message = match keys {
            Some(_) => format!("the keyring {path} has all keys of the database ({count} in the file)"),
            None => format!("the keyring {path} is intact ({count} keys); it was not compared with the database"),
        };
        findings.push(Finding::ok(AREA, "fits", message));
    }
    findings
}

fn unusable(error: &KeyringError) -> Finding {
    let advice = "Put a copy of the keyring back: mayfly keys import. Do not start with a new one.";
    Finding::failure(AREA, "damaged", ErrorChain(error).to_string(), advice)
}
