//! Versions, schema and properties of the database.

use mayfly_store::{Inspection, MigrationError, PostgresInfo, SchemaState, Server};

use super::finding::Finding;

const AREA: &str = "database";
/// The oldest PostgreSQL with all settings that a store makes: `client_connection_check_interval`.
const OLDEST_POSTGRES: i32 = 14_00_00;
/// How many connections a store keeps at most, with some for other programs.
const CONNECTIONS: i32 = 20;

/// Checks what was read of the database.
pub(super) fn check(inspected: &Result<Inspection, String>) -> Vec<Finding> {
    let inspection = match inspected {
        Ok(inspection) => inspection,
        Err(error) => {
            let advice =
                "Correct --database-url, or start the database. A log without its store is read at the next start.";
            return vec![Finding::failure(AREA, "unreachable", error.clone(), advice)];
        }
    };
    let mut findings = match &inspection.server {
        Server::Sqlite { version, has_log, can_shrink } => check_sqlite(version, *has_log, *can_shrink),
        Server::Postgres(info) => check_postgres(info),
    };
    findings.push(check_schema(&inspection.schema));
    findings
}

fn check_schema(schema: &Result<SchemaState, MigrationError>) -> Finding {
    let by = |version: &Option<String>| {
        version.as_ref().map(|version| format!(", last changed by Mayfly {version}")).unwrap_or_default()
    };
    match schema {
        Ok(SchemaState { applied: 0, .. }) => {
            let message = "the database has no schema yet";
            Finding::note(AREA, "schema", message, "The first start creates it, or mayfly migrate does.")
        }
        Ok(SchemaState { pending: 0, program_version, .. }) => {
            Finding::ok(AREA, "schema", format!("the schema is up to date{}", by(program_version)))
        }
        Ok(SchemaState { pending, program_version, .. }) => Finding::note(
            AREA,
            "schema",
            format!("the next start changes the schema ({pending} migrations){}", by(program_version)),
            "Back up the database before: older versions refuse the new schema.",
        ),
        Err(error) => {
            let advice = "Use that version, or restore a backup that this version can read (docs/operations.md).";
            Finding::failure(AREA, "schema", error.to_string(), advice)
        }
    }
}

fn check_sqlite(version: &str, has_log: bool, can_shrink: bool) -> Vec<Finding> {
    let mut findings = vec![Finding::ok(AREA, "version", format!("SQLite {version}"))];
    if !has_log {
        let message = "the database has no write-ahead log, so another program wrote it";
        findings.push(Finding::note(AREA, "journal-mode", message, "The next start switches it on."));
    }
    if !can_shrink {
        findings.push(Finding::note(
            AREA,
            "auto-vacuum",
            "the database file never gets smaller",
            "Run `PRAGMA auto_vacuum = INCREMENTAL; VACUUM;` on it while no store runs.",
        ));
    }
    findings
}

fn check_postgres(info: &PostgresInfo) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(if info.version_number < OLDEST_POSTGRES {
        let message = format!("PostgreSQL {} is older than 14, and a store does not start with it", info.version);
        Finding::failure(AREA, "version", message, "Upgrade PostgreSQL.")
    } else {
        Finding::ok(AREA, "version", format!("PostgreSQL {}", info.version))
    });
    if info.is_read_only {
        let message = "the server is a standby, and accepts no writes";
        findings.push(Finding::failure(AREA, "read-only", message, "Name the primary server in --database-url."));
    }
    if info.is_superuser {
        findings.push(Finding::warning(
            AREA,
            "superuser",
            "the role of --database-url is a superuser: who takes over the store controls the whole server",
            "Use a role with few rights, as docs/operations.md describes.",
        ));
    }
    if !info.fsync {
        findings.push(Finding::failure(
            AREA,
            "fsync",
            "fsync is off: after a crash the database can be damaged, and a message can be read twice",
            "Set fsync = on.",
        ));
    }
    if !info.full_page_writes {
        findings.push(Finding::warning(
            AREA,
            "full-page-writes",
            "full_page_writes is off: a crash in the middle of a write can damage the database",
            "Set full_page_writes = on, unless the file system writes pages whole.",
        ));
    }
    if info.synchronous_commit == "off" {
        findings.push(Finding::note(
            AREA,
            "synchronous-commit",
            "synchronous_commit is off for this role, database or server",
            "Nothing to do: a store switches it on for its own sessions.",
        ));
    }
    if !info.is_local && !info.has_tls {
        findings.push(Finding::warning(
            AREA,
            "no-tls",
            "the connection to PostgreSQL has no TLS, and its password can be read on the network",
            "Add ?sslmode=verify-full&sslrootcert=FILE to --database-url.",
        ));
    }
    if info.max_connections < CONNECTIONS {
        findings.push(Finding::warning(
            AREA,
            "max-connections",
            format!("max_connections is {}, and a store keeps up to 16 connections", info.max_connections),
            format!("Set max_connections to at least {CONNECTIONS} for each store."),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use mayfly_store::ClockOffset;

    use super::{super::finding::Severity, *};

    fn good() -> PostgresInfo {
        PostgresInfo {
            version: "15.4".to_owned(),
            version_number: 150_004,
            is_superuser: false,
            is_read_only: false,
            fsync: true,
            full_page_writes: true,
            synchronous_commit: "on".to_owned(),
            has_tls: true,
            is_local: false,
            max_connections: 100,
            clock: ClockOffset { micros: 0, error_micros: 100 },
        }
    }

    #[test]
    fn each_property_of_postgresql_has_a_finding() {
        let worst = |info: &PostgresInfo| {
            let worst = check_postgres(info).into_iter().max_by_key(|finding| finding.severity).unwrap();
            (worst.id, worst.severity)
        };
        assert_eq!(worst(&good()), ("version", Severity::Ok));
        let cases: [(PostgresInfo, &str, Severity); 8] = [
            (PostgresInfo { version_number: 130_009, ..good() }, "version", Severity::Failure),
            (PostgresInfo { is_read_only: true, ..good() }, "read-only", Severity::Failure),
            (PostgresInfo { is_superuser: true, ..good() }, "superuser", Severity::Warning),
            (PostgresInfo { fsync: false, ..good() }, "fsync", Severity::Failure),
            (PostgresInfo { full_page_writes: false, ..good() }, "full-page-writes", Severity::Warning),
            (PostgresInfo { synchronous_commit: "off".to_owned(), ..good() }, "synchronous-commit", Severity::Note),
            (PostgresInfo { has_tls: false, ..good() }, "no-tls", Severity::Warning),
            (PostgresInfo { max_connections: 10, ..good() }, "max-connections", Severity::Warning),
        ];
        for (info, id, severity) in cases {
            assert_eq!(worst(&info), (id, severity));
        }
        assert_eq!(worst(&PostgresInfo { has_tls: false, is_local: true, ..good() }).1, Severity::Ok);
    }

    #[test]
    fn a_schema_is_up_to_date_or_older_or_newer_or_not_there() {
        let state = |applied, pending| Ok(SchemaState { applied, pending, program_version: Some("1.2.3".to_owned()) });
        assert_eq!(check_schema(&state(0, 2)).severity, Severity::Note);
        assert_eq!(check_schema(&state(2, 0)).severity, Severity::Ok);
        let older = check_schema(&state(1, 1));
        assert_eq!(older.severity, Severity::Note);
        assert!(older.message.contains("1 migrations") && older.message.contains("1.2.3"), "{}", older.message);
        let newer = MigrationError::Newer { change: "m29990101".to_owned(), program_version: None };
        assert_eq!(check_schema(&Err(newer)).severity, Severity::Failure);
    }

    #[test]
    fn a_sqlite_file_of_another_program_is_told() {
        let ids = |has_log, can_shrink| {
            let found = check_sqlite("3.50.0", has_log, can_shrink);
            found.into_iter().skip(1).map(|finding| finding.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(true, true), [""; 0]);
        assert_eq!(ids(false, false), ["journal-mode", "auto-vacuum"]);
    }
}
