//! `mayfly backup`, `restore`, `keys export` and `keys import`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use mayfly_testkit::TestDatabase;

use crate::harness::{CommandOutput, Layout, Options, System, run, run_in};

/// A keyring that the program `age` 1.1.1 encrypted (`age --passphrase --armor`) with [`PASSPHRASE`].
const EXPORT_OF_AGE: &str = include_str!("backups/keyring.age");
/// The id of its key.
const KEY_OF_EXPORT: &str = "d0ce131d1ad7566b";
const PASSPHRASE: &str = "correct-horse-battery-staple";

/// A directory with the file of a passphrase.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("passphrase", PASSPHRASE);
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Runs `mayfly keys` with the keyring in `data` and the passphrase.
    async fn keys(&self, data: &str, arguments: &[&str]) -> CommandOutput {
        let passphrase = self.path("passphrase");
        let data = self.path(data);
        let environment = [("MAYFLY_PASSPHRASE_FILE", passphrase.as_str()), ("MAYFLY_DATA_DIR", &data)];
        run_in(&environment, &[&["keys"], arguments].concat()).await
    }

    /// A new keyring in `data`. Returns the id of its key.
    async fn new_keyring(&self, data: &str) -> String {
        let store = TestDatabase::sqlite().unwrap();
        let mut system = System::start(Layout::One, &store, Options::default()).await;
        fs::create_dir(self.path(data)).unwrap();
        fs::copy(system.data.join("keyring.json"), self.path(&format!("{data}/keyring.json"))).unwrap();
        system.stop().await;
        self.key_ids(data).await.trim().to_owned()
    }

    async fn key_ids(&self, data: &str) -> String {
        let listed = self.keys(data, &["list"]).await.out;
        listed.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect::<Vec<_>>().join(" ")
    }
}

/// The names and sizes of all files below `folder`.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.path().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push((entry.path(), entry.metadata().unwrap().len())),
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_needs_a_stopped_store_and_replaces_only_on_request() {
    let database = TestDatabase::sqlite().unwrap();
    let mut system = System::start(Layout::One, &database, Options::default()).await;
    let data = system.data.display().to_string();
    let target = ["--data-dir", &data, "--database-url", database.url()];
    let read_later = system.client(&["new", "hello"]).await.out;
    let backup = database.folder().join("backup.db").display().to_string();
    let taken = run(&[&["backup", &backup], &target[..]].concat()).await;
    assert_eq!(taken.code, 0, "{}", taken.err);
    assert_eq!(system.client(&["view", read_later.trim()]).await.out, "hello");
    let later = system.client(&["new", "later"]).await.out;

    let running = run(&[&["restore", &backup, "--replace"], &target[..]].concat()).await;
    assert_eq!(running.code, 4);
    assert!(running.err.contains("another process uses") && running.err.contains("stop the store"), "{}", running.err);
    assert_eq!(system.client(&["view", later.trim()]).await.out, "later", "the store is as before");
    system.stop().await;

    let existing = run(&[&["restore", &backup], &target[..]].concat()).await;
    assert_eq!(existing.code, 4);
    assert!(existing.err.contains("--replace"), "{}", existing.err);
    let restored = run(&[&["restore", &backup, "--replace"], &target[..]].concat()).await;
    assert_eq!(restored.code, 0, "{}", restored.err);
    assert!(restored.out.contains("1 messages that were unread ended as viewed"), "{}", restored.out);
    let (_, aside) = restored.out.trim().split_once("the previous database is ").unwrap();
    assert_eq!(fs::metadata(aside).unwrap().permissions().mode() & 0o777, 0o600);

    system.start_processes(Layout::One, Options::default()).await;
    let again = system.client(&["view", read_later.trim()]).await;
    assert_eq!((again.code, again.out.as_str()), (3, ""));
    assert!(again.err.contains("treat the text as exposed"), "{}", again.err);
    let new = system.client(&["new", "new"]).await.out;
    assert_eq!(system.client(&["view", new.trim()]).await.out, "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_cannot_work_say_why_and_change_nothing() {
    let folder = Folder::new();
    folder.new_keyring("data").await;
    let data = folder.path("data");
    let backup = folder.write("backup.db", "no database");
    let postgres = ["--database-url", "postgres://mayfly:needle@127.0.0.1:1/mayfly"];
    let before = files(folder.0.path());
    for (arguments, word) in [
        ([&["backup", &folder.path("new.db")], &postgres[..]].concat(), "pg_dump"),
        ([&["restore", &backup], &postgres[..]].concat(), "docs/operations.md"),
        (vec!["backup", &folder.path("new.db")], "there is no database"),
        (vec!["restore", &backup], "not an intact SQLite database"),
        (vec!["restore", &backup, "--keyring", &folder.path("none.json")], "mayfly keys import"),
        (vec!["keys", "export", &backup], "cannot write"),
        (vec!["keys", "export", &folder.path("new/keyring.age")], "cannot write"),
        (vec!["keys", "import", &backup], "is no exported keyring"),
    ] {
        let environment = [("MAYFLY_DATA_DIR", data.as_str()), ("MAYFLY_PASSPHRASE_FILE", &folder.path("passphrase"))];
        let failed = run_in(&environment, &arguments).await;
        assert!(failed.code != 0 && failed.err.contains(word), "{arguments:?}: {}", failed.err);
        assert!(!failed.err.contains("needle"), "{}", failed.err);
        let after: Vec<_> =
            files(folder.0.path()).into_iter().filter(|(path, _)| !path.ends_with("keyring.json.lock")).collect();
        assert_eq!(after, before, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_keyring_is_encrypted_and_is_imported_with_its_passphrase() {
    let folder = Folder::new();
    let id = folder.new_keyring("first").await;
    let export = folder.path("keyring.age");
    let exported = folder.keys("first", &["export", &export]).await;
    assert_eq!(exported.code, 0, "{}", exported.err);
    assert_eq!(fs::metadata(&export).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&export).unwrap();
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") && !text.contains(&id), "{text}");

    let wrong = folder.write("wrong", "another passphrase");
    let rejected = folder.keys("second", &["import", &export, "--passphrase-file", &wrong]).await;
    assert_eq!(rejected.code, 4);
    assert!(rejected.err.contains("the passphrase does not open"), "{}", rejected.err);
    assert!(!Path::new(&folder.path("second")).exists());

    let imported = folder.keys("second", &["import", &export]).await;
    assert_eq!(imported.code, 0, "{}", imported.err);
    let [first, second] = ["first", "second"].map(|data| folder.path(&format!("{data}/keyring.json")));
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    assert_eq!(fs::metadata(&second).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_drops_no_key_and_merges_on_request() {
    let folder = Folder::new();
    let (first, second) = (folder.new_keyring("first").await, folder.new_keyring("second").await);
    let export = folder.path("keyring.age");
    assert_eq!(folder.keys("first", &["export", &export]).await.code, 0);
    let rejected = folder.keys("second", &["import", &export]).await;
    assert_eq!(rejected.code, 4);
    assert!(rejected.err.contains(&second) && rejected.err.contains("--merge"), "{}", rejected.err);
    assert_eq!(folder.key_ids("second").await, second);
    for _ in 0..2 {
        assert_eq!(folder.keys("second", &["import", &export, "--merge"]).await.code, 0);
        assert_eq!(folder.key_ids("second").await, format!("{first} {second}"), "the second key still seals");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_the_age_program_encrypted_is_imported() {
    let folder = Folder::new();
    let export = folder.write("keyring.age", EXPORT_OF_AGE);
    let imported = folder.keys("data", &["import", &export]).await;
    assert_eq!(imported.code, 0, "{}", imported.err);
    assert_eq!(folder.key_ids("data").await, KEY_OF_EXPORT);
}
