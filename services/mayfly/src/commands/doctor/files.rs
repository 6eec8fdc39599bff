//! The data directory, the files with secrets and the SQLite database: who may read them, and where they are.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use mayfly_bootstrap::{
    ErrorChain, parent_dir,
    secret_file::{self, SecretAccess},
};
use mayfly_store::{DataSettings, MissingToken, SettingsError, TokenSettings};
use rustix::fs::Access;

use super::finding::Finding;
use crate::roles::RoleParts;

const AREA: &str = "files";
/// File systems over a network, on which SQLite's locks or its shared memory do not work reliably.
const NETWORK: [(u64, &str); 7] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x5346_414f, "AFS"),
    (0x00c3_6400, "Ceph"),
    (0x0102_1997, "9P"),
];
/// File systems in memory.
const MEMORY: [(u64, &str); 2] = [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs")];
/// Files that a role makes in its data directory, beside those that have a setting.
const OTHERS: [&str; 3] = ["simulator.token", "bot-set-aside", "bot-deletions"];

/// Checks the files of a role.
pub(super) fn check(role: RoleParts<'_>) -> Vec<Finding> {
    let Some(data) = role.data else { return Vec::new() };
    let mut findings = check_dir(role, data);
    if let Some(store) = role.store {
        let keyring = store.store.keyring.path(data);
        if keyring.exists() {
            findings.extend(check_secret("--keyring", &keyring, data.secret_access()));
        }
        if let Ok(Some(file)) = store.database.database(data).map(|database| database.file().map(Path::to_owned)) {
            findings.extend(check_database(&file));
        }
        findings.extend(check_secret_setting("--database-url-file", store.database.database_url_file.as_deref()));
    }
    if let Some(tokens) = role.tokens {
        findings.extend(check_tokens(tokens, data, role.store.is_some()));
    }
    for path in OTHERS.map(|name| data.data_dir.join(name)) {
        if fs::symlink_metadata(&path).is_ok_and(|found| found.mode() & 0o007 != 0) {
            findings.push(open_to_others(&path));
        }
    }
    // One is enough: mostly all files have the same owner.
    let mut is_owner_told = false;
    findings.retain(|finding| finding.id != "owner" || !std::mem::replace(&mut is_owner_told, true));
    findings
}

fn check_dir(role: RoleParts<'_>, data: &DataSettings) -> Vec<Finding> {
    let dir = &data.data_dir;
    let shown = dir.display();
    let found = match fs::metadata(dir) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return check_missing_dir(role, dir),
        Err(error) => {
            let advice = "Run this as the user of the service, and check --data-dir.";
            return vec![Finding::failure(AREA, "data-dir", format!("cannot read {shown}: {error}"), advice)];
        }
    };
    if !found.is_dir() {
        let advice = "Name a directory with --data-dir.";
        return vec![Finding::failure(AREA, "data-dir", format!("{shown} is not a directory"), advice)];
    }
    let mut findings = Vec::new();
    let mode = found.mode() & 0o777;
    if mode & 0o022 != 0 {
        findings.push(Finding::failure(
            AREA,
            "data-dir-mode",
            format!("users other than its owner may replace the files in {shown} (its mode is {mode:o})"),
            format!("Run chmod 700 {shown}."),
        ));
    }
    findings.extend(check_owner(dir, &found));
    if let Err(error) = rustix::fs::access(dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        findings.push(Finding::failure(
            AREA,
            "data-dir-access",
            format!("this user cannot write to {shown}: {}", io::Error::from(error)),
            "Run this as the user of the service, which must own the directory. Its file system must be writable.",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(AREA, "data-dir", format!("the data directory is {shown} (mode {mode:o})")));
    }
    findings
}

fn check_missing_dir(role: RoleParts<'_>, dir: &Path) -> Vec<Finding> {
    let shown = dir.display();
    if role.store.is_none() {
        // A bot needs its tokens alone, which can be elsewhere.
        let message = format!("there is no directory {shown}");
        return vec![Finding::note(AREA, "data-dir", message, "The start creates it.")];
    }
    let existing = dir.ancestors().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    let parent = existing.skip(1).find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    if rustix::fs::access(parent, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return vec![Finding::failure(
            AREA,
            "data-dir",
            format!("{shown} does not exist, and this user cannot create it in {}", parent.display()),
            "Create it for the user of the service, with mode 700; or run this as that user.",
        )];
    }
    let advice = "The first start creates it. If there should be one, check --data-dir.";
    vec![Finding::note(AREA, "data-dir", format!("{shown} does not exist yet"), advice)]
}

/// Files of another user: this process runs as a user other than the service, or the service did.
fn check_owner(path: &Path, found: &Metadata) -> Option<Finding> {
    let user = rustix::process::geteuid().as_raw();
    (found.uid() != user).then(|| {
        Finding::warning(
            AREA,
            "owner",
            format!("{} belongs to the user {}, and this process runs as {user}", path.display(), found.uid()),
            "Run this as the user of the service. If you did, give all files to that user with chown.",
        )
    })
}

/// A file that the role checks at its start: with the same check.
fn check_secret(setting: &str, path: &Path, access: SecretAccess) -> Vec<Finding> {
    let owner = fs::metadata(path).ok().and_then(|found| check_owner(path, &found));
    let checked = match secret_file::check(path, access) {
        Ok(()) => Finding::ok(AREA, "secret", format!("{setting}: only its users may read {}", path.display())),
        Err(error) => {
            let advice = "The role does not start so. Whoever could read the file may have a copy of the secret.";
            Finding::failure(AREA, "secret", format!("{setting}: {}", ErrorChain(&error)), advice)
        }
    };
    [Some(checked), owner].into_iter().flatten().collect()
}

/// A file that a setting names. The role takes it with any mode, since container engines mount such files readable.
fn check_secret_setting(setting: &str, path: Option<&Path>) -> Option<Finding> {
    let path = path?;
    match fs::metadata(path) {
        Ok(found) if found.mode() & 0o007 != 0 => Some(Finding::warning(
            AREA,
            "secret",
            format!(
                "{setting}: all users of this machine may read {} (mode {:o})",
                path.display(),
                found.mode() & 0o777
            ),
            "Run chmod 600 on it, unless a container engine mounted it.",
        )),
        Ok(_) => None,
        Err(error) => Some(Finding::failure(
            AREA,
            "secret",
            format!("{setting}: cannot read {}: {error}", path.display()),
            "Correct the path, or give the file to the user of the service.",
        )),
    }
}

fn check_tokens(tokens: &TokenSettings, data: &DataSettings, is_store: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(check_secret_setting("--admin-token-file", tokens.admin_token_file.as_deref()));
    findings.extend(check_secret_setting("--service-token-file", tokens.service_token_file.as_deref()));
    let admin_is_given = tokens.admin_token.is_some() || tokens.admin_token_file.is_some();
    let service_is_given = tokens.service_token.is_some() || tokens.service_token_file.is_some();
    let admin = (is_store || admin_is_given).then(|| {
        ("--admin-token", "admin.token", admin_is_given, tokens.admin_token(data, MissingToken::Reject).map(drop))
    });
    let service = tokens.service_token(data, MissingToken::Reject).map(drop);
    let service = Some(("--service-token", "service.token", service_is_given, service));
    for (setting, name, is_given, read) in [admin, service].into_iter().flatten() {
        let file = data.data_dir.join(name);
        findings.extend(check_token(setting, &file, is_given, read, is_store, data.secret_access()));
    }
    findings
}

fn check_token(
    setting: &str,
    file: &Path,
    is_given: bool,
    read: Result<(), SettingsError>,
    is_store: bool,
    access: SecretAccess,
) -> Vec<Finding> {
    match read {
        Err(_) if is_store && !is_given && !file.exists() => {
            let message = format!("{setting}: {} does not exist yet", file.display());
            let advice = "The first start creates it. If there should be one, callers will need the new token.";
            vec![Finding::note(AREA, "token", message, advice)]
        }
        Err(error) => {
            let advice = match is_store {
                true => "Correct the setting or the file; the store does not start so.",
                false => "Copy the token of the store, and name its file with --service-token-file.",
            };
            vec![Finding::failure(AREA, "token", ErrorChain(&error).to_string(), advice)]
        }
        // The store checks the mode of the files that it created.
        Ok(()) if is_store && !is_given => check_secret(setting, file, access),
        Ok(()) => vec![Finding::ok(AREA, "token", format!("{setting} can be used"))],
    }
}

fn open_to_others(path: &Path) -> Finding {
    Finding::warning(
        AREA,
        "open-file",
        format!("all users of this machine may read {}", path.display()),
        format!("Run chmod -R go= {}.", path.display()),
    )
}

fn check_database(file: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut exists = false;
    for path in ["", "-wal", "-shm"].map(|suffix| with_suffix(file, suffix)) {
        let Ok(found) = fs::metadata(&path) else { continue };
        exists = true;
        if found.mode() & 0o077 != 0 {
            findings.push(Finding::warning(
                AREA,
                "database-mode",
                format!("users other than its owner may read {} (mode {:o})", path.display(), found.mode() & 0o777),
                "Run chmod 600 on it. It contains no text in clear, but who reads it learns what is stored.",
            ));
        }
        findings.extend(check_owner(&path, &found));
        if rustix::fs::access(&path, Access::READ_OK | Access::WRITE_OK).is_err() {
            findings.push(Finding::failure(
                AREA,
                "database-access",
                format!("this user cannot write to {}", path.display()),
                "Run this as the user of the service, or give the file to that user.",
            ));
        }
    }
    if !exists {
        let advice = "The first start creates it. If there should be one, check --data-dir and --database-url.";
        findings.push(Finding::note(
            AREA,
            "database",
            format!("there is no database at {} yet", file.display()),
            advice,
        ));
    } else if findings.is_empty() {
        findings.push(Finding::ok(AREA, "database", format!("only its owner may read {}", file.display())));
    }
    findings.extend(check_file_system(parent_dir(file)));
    findings
}

fn check_file_system(dir: &Path) -> Option<Finding> {
    let existing = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("."));
    let kind = u64::try_from(rustix::fs::statfs(existing).ok()?.f_type).ok()?;
    file_system_finding(dir, kind)
}

fn file_system_finding(dir: &Path, kind: u64) -> Option<Finding> {
    // Some systems report the type with a sign.
    let kind = kind & 0xffff_ffff;
    let name = |kinds: &[(u64, &'static str)]| kinds.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name);
    if let Some(name) = name(&NETWORK) {
        return Some(Finding::failure(
            AREA,
            "file-system",
            format!("the database is on {name}, a file system of the network: {}", dir.display()),
            "Put it on a disk of this machine, or use PostgreSQL: SQLite's locks can fail there, and damage it.",
        ));
    }
    name(&MEMORY).map(|name| {
        Finding::warning(
            AREA,
            "file-system",
            format!("the database is on {name}, in memory: it is lost when this machine stops ({})", dir.display()),
            "Put it on a disk, unless the messages may be lost.",
        )
    })
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Severity, *};

    #[test]
    fn file_systems_of_the_network_and_in_memory_are_told() {
        let severity = |kind| file_system_finding(Path::new("data"), kind).map(|found| found.severity);
        assert_eq!(severity(0x6969), Some(Severity::Failure), "NFS");
        assert_eq!(severity(0xffff_ffff_ff53_4d42), Some(Severity::Failure), "CIFS, as a negative number");
        assert_eq!(severity(0x0102_1994), Some(Severity::Warning), "tmpfs");
        assert_eq!(severity(0xef53), None, "ext4");
    }
}
