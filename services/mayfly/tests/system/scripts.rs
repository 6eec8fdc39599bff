//! The scripts for operators.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path};

use tokio::process::Command;

async fn make_secrets(folder: &Path) -> BTreeMap<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/make-secrets");
    let output = Command::new(script).arg(folder).output().await.unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap())).collect()
}

#[tokio::test]
async fn secrets_are_created_once_and_a_missing_one_is_created_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("secrets");
    let made = make_secrets(&folder).await;
    assert_eq!(made.keys().collect::<Vec<_>>(), ["admin_token", "database_url", "postgres_password", "service_token"]);
    assert!(made["database_url"].contains(&made["postgres_password"]));
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(make_secrets(&folder).await, made);

    fs::remove_file(folder.join("admin_token")).unwrap();
    let again = make_secrets(&folder).await;
    assert_eq!(again["admin_token"].len(), 64);
    for name in ["database_url", "postgres_password", "service_token"] {
        assert_eq!(again[name], made[name], "{name}");
    }
    assert_ne!(again["admin_token"], made["admin_token"]);
}
