//! `mayfly certs`: a private certificate authority, and a certificate for each role.

use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use mayfly_bootstrap::{
    Secret, create_private_dir_all,
    http::origin::parse_host_name,
    parent_dir,
    secret_file::{self, SecretFileError},
    sync_dir,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

use super::print::PrintSettings;
use crate::error::CliError;

const DAY: Duration = Duration::from_hours(24);
/// How far the clock of another machine may be behind.
const CLOCK_TOLERANCE: Duration = Duration::from_hours(1);
/// Names under which a role is reached on its own machine, for health checks.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The folders with certificates. The first three are roles, whose certificates are for their names.
const ROLES: [&str; 3] = ["store", "gateway", "bot"];
const CLIENT: &str = "client";

/// Arguments of `mayfly certs`.
#[derive(Debug, clap::Args)]
pub(crate) struct CertsSettings {
    /// The folder for the certificates and keys. It must not exist yet, or be empty.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A host name or IP address under which roles are reached; may be given several times, or separated by commas. The
    /// certificates are also for the names of the roles (store, gateway, bot) and for localhost.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = parse_host)]
    host: Vec<String>,
    /// How many days the certificates are valid. Some clients accept no more than 825.
    #[arg(long, value_name = "N", default_value_t = 825, value_parser = clap::value_parser!(u16).range(1..))]
    days: u16,
    #[command(flatten)]
    print: PrintSettings,
}

/// The certificates cannot be made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
enum CertsError {
    #[error("--dir: {} is not empty, and no file is overwritten: name a new folder", dir.display())]
    Exists { dir: PathBuf },
    #[error("--dir: cannot write {}", dir.display())]
    Write { dir: PathBuf, source: io::Error },
    #[error("--dir: cannot write the keys")]
    Key(#[from] SecretFileError),
    #[error("the certificates cannot be made")]
    Issue(#[from] rcgen::Error),
}

pub(crate) fn run(settings: &CertsSettings) -> Result<(), CliError> {
    make(settings).map_err(CliError::failed)?;
    let folders: Vec<_> = ROLES.iter().chain([&CLIENT]).map(|role| settings.dir.join(role)).collect();
    let json = json!({ "authority": settings.dir.join("ca.pem"), "folders": folders, "days": settings.days });
    settings.print.print(&json, &instructions(settings))
}

/// Makes all files, or none: they appear at once under the name of the folder.
fn make(settings: &CertsSettings) -> Result<(), CertsError> {
    let dir = &settings.dir;
    let failed = |source| CertsError::Write { dir: dir.clone(), source };
    // A better message than that of the renaming, which makes sure.
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(CertsError::Exists { dir: dir.clone() });
    }
    let parent = parent_dir(dir);
    create_private_dir_all(parent).map_err(failed)?;
    let private = fs::Permissions::from_mode(0o700);
    let temporary = tempfile::Builder::new().prefix(".mayfly-certs").permissions(private).tempdir_in(parent);
    let temporary = temporary.map_err(failed)?;
    issue_all(settings, temporary.path())?;
    sync_dir(temporary.path()).map_err(failed)?;
    fs::rename(temporary.path(), dir).map_err(failed)?;
    // The folder has another name now.
    drop(temporary.keep());
    sync_dir(parent).map_err(failed)
}

fn issue_all(settings: &CertsSettings, dir: &Path) -> Result<(), CertsError> {
    let key = KeyPair::generate()?;
    // Authorities with one name would be confused with each other.
    let name = format!("Mayfly private authority {}", hex::encode(key.public_key_raw().get(1..9).unwrap_or_default()));
    let mut params = params(&name, Vec::new(), settings.days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, key)?;
    write_certificate(&dir.join("ca.pem"), &authority.pem())?;
    write_key(&dir.join("ca-key.pem"), authority.key())?;
    for role in ROLES.into_iter().chain([CLIENT]) {
        let names = if role == CLIENT { Vec::new() } else { names(settings, role) };
        let mut params = self::params(&format!("Mayfly {role}"), names, settings.days)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Roles are clients of each other, and check their own health.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if role != CLIENT {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority)?;
        let folder = dir.join(role);
        create_private_dir_all(&folder).map_err(|source| CertsError::Write { dir: folder.clone(), source })?;
        write_key(&folder.join("key.pem"), &key)?;
        write_certificate(&folder.join("cert.pem"), &certificate.pem())?;
        write_certificate(&folder.join("ca.pem"), &authority.pem())?;
    }
    Ok(())
}

fn names(settings: &CertsSettings, role: &str) -> Vec<String> {
    let names = [role].into_iter().chain(LOCAL_NAMES).chain(settings.host.iter().map(String::as_str));
    let mut unique = Vec::new();
    for name in names.map(str::to_owned) {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

fn params(name: &str, hosts: Vec<String>, days: u16) -> Result<CertificateParams, CertsError> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    let now = SystemTime::now();
    params.not_before = (now - CLOCK_TOLERANCE).into();
    params.not_after = (now + DAY * u32::from(days)).into();
    Ok(params)
}

fn write_certificate(path: &Path, pem: &str) -> Result<(), CertsError> {
    let write = || {
        fs::write(path, pem)?;
        fs::File::open(path)?.sync_all()
    };
    write().map_err(|source| CertsError::Write { dir: path.to_owned(), source })
}

fn write_key(path: &Path, key: &KeyPair) -> Result<(), CertsError> {
    Ok(secret_file::write(path, &Secret::new(key.serialize_pem()))?)
}

fn parse_host(host: &str) -> Result<String, String> {
    if host.parse::<IpAddr>().is_ok() { Ok(host.to_owned()) } else { parse_host_name(host) }
}

fn instructions(settings: &CertsSettings) -> String {
    let dir = settings.dir.display();
    let server = |role: &str| format!("--tls-cert {dir}/{role}/cert.pem --tls-key {dir}/{role}/key.pem");
    let client = |role: &str| {
        format!("--ca {dir}/{role}/ca.pem --client-cert {dir}/{role}/cert.pem --client-key {dir}/{role}/key.pem")
    };
    let names: String = ROLES
        .iter()
        .map(|role| format!("  {:24} for {}\n", format!("{dir}/{role}"), names(settings, role).join(", ")))
        .collect();
    format!(
        "Made a private authority and its certificates, which are valid for {days} days:\n\
         {names}  \
         {client_folder:24} for commands\n\
         Each folder has all that one machine needs. Keep {dir}/ca-key.pem apart: all roles accept what it signs.\n\
         \n\
         The store and the bot, which then accept only callers with a certificate of this authority:\n  \
         mayfly store {store} --tls-client-ca {dir}/store/ca.pem\n  \
         mayfly bot {bot} --tls-client-ca {dir}/bot/ca.pem \\\n    \
         --store-url https://store:50051 {bot_client}\n\
         The gateway, whose own --tls-cert should come from a public authority if browsers use it:\n  \
         mayfly gateway --store-url https://store:50051 --bot-url https://bot:5555 {gateway_client}\n\
         Commands:\n  \
         mayfly new hello --store-url https://store:50051 {command_client}",
        days = settings.days,
        client_folder = format!("{dir}/{CLIENT}"),
        store = server("store"),
        bot = server("bot"),
        bot_client = client("bot"),
        gateway_client = client("gateway"),
        command_client = client(CLIENT),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for host in ["store", "mayfly.example.org", "10.0.0.7", "::1"] {
            assert_eq!(parse_host(host).as_deref(), Ok(host));
        }
        for host in ["", "https://store", "store:50051", "a b"] {
            assert!(parse_host(host).is_err(), "{host}");
        }
    }
}
