//! The settings of a store.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use mayfly_bootstrap::{
    Secret,
    secret_file::{self, SecretAccess, SecretFileError},
};
use sea_orm::sqlx::{self, postgres::PgConnectOptions};

use crate::{
    domain::{InvalidKeyring, Keyring, Lifetime, MessageLimits, random},
    keyring_file::KeyringFile,
    storage::{Database, DatabaseError, StorageLimits},
};

/// The largest `--max-text-bytes`: a request must fit in what gRPC takes by default, which is 4 MiB.
const MAX_TEXT_BYTES_LIMIT: usize = 1 << 20;

/// The range of `--view-grace`. A longer grace would keep texts on the disk for readers that never return.
const MIN_VIEW_GRACE: Duration = Duration::from_secs(1);
const MAX_VIEW_GRACE: Duration = Duration::from_hours(24);

/// The data directory. Client commands use it too.
#[derive(Clone, Debug, clap::Args)]
pub struct DataSettings {
    /// The directory for everything that is created on first start: the SQLite database, the keyring, the tokens.
    #[arg(long, env = "MAYFLY_DATA_DIR", default_value = "data", value_name = "DATA_DIR")]
    pub data_dir: PathBuf,
    /// Accept a keyring and tokens that a group may read, if the process is a member of that group. Kubernetes' fsGroup
    /// sets such a mode. Files that all users may read are still rejected.
    #[arg(long, env = "MAYFLY_GROUP_READABLE_SECRETS")]
    pub group_readable_secrets: bool,
}

impl DataSettings {
    /// Which users may have access to the files with secrets.
    #[must_use]
    pub fn secret_access(&self) -> SecretAccess {
        if self.group_readable_secrets { SecretAccess::OwnGroup } else { SecretAccess::Owner }
    }

    /// The token in `file`, which is created if it does not exist.
    fn read_or_create_token(&self, file: &Path) -> Result<Secret, SecretFileError> {
        secret_file::read_or_create(file, self.secret_access(), || {
            let bytes = random::<32>().map_err(std::io::Error::other)?;
            Ok(Secret::new(hex::encode(bytes.as_slice())))
        })
    }

    /// The token of the bot's simulator, created on first use.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when it cannot be read or created.
    pub fn simulator_token(&self) -> Result<Secret, SettingsError> {
        self.read_or_create_token(&self.data_dir.join("simulator.token"))
            .map_err(|error| SettingsError::file("--simulator", error))
    }
}

/// The database.
#[derive(Clone, Debug, clap::Args)]
pub struct DatabaseSettings {
    /// The database: `sqlite://path/to/file.db` or `postgres://user:password@host/name`.
    /// [default: sqlite://DATA_DIR/mayfly.db]
    #[arg(long, env = "MAYFLY_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<Secret>,
    /// A file that holds the database URL.
    #[arg(long, env = "MAYFLY_DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database_url")]
    pub database_url_file: Option<PathBuf>,
}

impl DatabaseSettings {
    /// The configured database.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when the URL cannot be read or is of an unknown kind.
    pub fn database(&self, data: &DataSettings) -> Result<Database, SettingsError> {
        let url = secret_file::given(&self.database_url, &self.database_url_file);
        match url.map_err(|error| SettingsError::file("--database-url-file", error))? {
            Some(url) => {
                let database = Database::from_url(url.clone()).map_err(SettingsError::Database)?;
                if url.expose().starts_with("postgres") {
                    url.expose().parse::<PgConnectOptions>().map_err(SettingsError::PostgresUrl)?;
                }
                Ok(database)
            }
            None => Ok(Database::sqlite_file(&data.data_dir.join("mayfly.db"))),
        }
    }
}

/// The tokens of the store's callers.
#[derive(Clone, Debug, clap::Args)]
pub struct TokenSettings {
    /// The token that may manage app configs and API tokens. [default: created on first start, in
    /// DATA_DIR/admin.token]
    #[arg(long, env = "MAYFLY_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub admin_token: Option<Secret>,
    /// A file that holds the admin token. A store follows changes of the file, also of the default one.
    #[arg(long, env = "MAYFLY_ADMIN_TOKEN_FILE", value_name = "FILE", conflicts_with = "admin_token")]
    pub admin_token_file: Option<PathBuf>,
    /// The token with which the bot reads the active app config and creates messages. [default: created on first start,
    /// in DATA_DIR/service.token]
    #[arg(long, env = "MAYFLY_SERVICE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub service_token: Option<Secret>,
    /// A file that holds the service token.
    #[arg(long, env = "MAYFLY_SERVICE_TOKEN_FILE", value_name = "FILE", conflicts_with = "service_token")]
    pub service_token_file: Option<PathBuf>,
}

/// The length of the shortest accepted token: 128 bits in hexadecimal digits.
const MIN_TOKEN_LENGTH: usize = 32;

/// What to do about a token that is neither configured nor in its default file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MissingToken {
    /// Create it: this is the first start of a store.
    Create,
    /// Fail: this process is not the store, which would not know a new token.
    Reject,
}

impl TokenSettings {
    /// The admin token.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when it cannot be read or created, or is too short.
    pub fn admin_token(&self, data: &DataSettings, missing: MissingToken) -> Result<Secret, SettingsError> {
        let names = ("--admin-token", "--admin-token-file");
        token(names, &self.admin_token, &self.admin_token_file, data, "admin.token", missing)
    }

    /// The admin token that its file has now. `None` if the token does not come from a file.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when it cannot be read, or is too short.
    pub(crate) fn admin_token_in_file(&self, data: &DataSettings) -> Result<Option<Secret>, SettingsError> {
        if self.admin_token.is_some() {
            return Ok(None);
        }
        // The permissions of a file that the operator named are not checked, as at the start.
        if self.admin_token_file.is_none() {
            let file = data.data_dir.join("admin.token");
            let checked = secret_file::check(&file, data.secret_access());
            checked.map_err(|error| SettingsError::file("--admin-token", error))?;
        }
        self.admin_token(data, MissingToken::Reject).map(Some)
    }

    /// The service token.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when it cannot be read or created, or is too short.
    pub fn service_token(&self, data: &DataSettings, missing: MissingToken) -> Result<Secret, SettingsError> {
        let names = ("--service-token", "--service-token-file");
        token(names, &self.service_token, &self.service_token_file, data, "service.token", missing)
    }
}

fn token(
    (setting, file_setting): (&'static str, &'static str),
    given: &Option<Secret>,
    given_file: &Option<PathBuf>,
    data: &DataSettings,
    default_file: &str,
    missing: MissingToken,
) -> Result<Secret, SettingsError> {
    let default_file = data.data_dir.join(default_file);
    let given = secret_file::given(given, given_file).map_err(|error| SettingsError::file(file_setting, error))?;
    let token = match (given, missing) {
        (Some(token), _) => Ok(token),
        (None, MissingToken::Reject) => secret_file::read(&default_file),
        (None, MissingToken::Create) => data.read_or_create_token(&default_file),
    };
    let token = token.map_err(|error| SettingsError::file(setting, error))?;
    let is_header = token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if token.expose().len() >= MIN_TOKEN_LENGTH && is_header {
        Ok(token)
    } else {
        Err(SettingsError::WeakToken { setting })
    }
}

/// The limits of messages. The gateway has them too.
#[derive(Clone, Debug, clap::Args)]
pub struct LimitSettings {
    /// The longest text, in bytes of UTF-8: 1 to 1048576. A gateway needs the value of its store.
    #[arg(
        long,
        env = "MAYFLY_MAX_TEXT_BYTES",
        default_value_t = 65_536,
        value_name = "BYTES",
        value_parser = parse_max_text_bytes
    )]
    pub max_text_bytes: usize,
}

fn parse_max_text_bytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (1..=MAX_TEXT_BYTES_LIMIT).contains(&bytes) => Ok(bytes),
        _ => Err(format!("must be between 1 and {MAX_TEXT_BYTES_LIMIT}")),
    }
}

fn parse_view_grace(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(grace) if (MIN_VIEW_GRACE..=MAX_VIEW_GRACE).contains(&grace) => Ok(grace),
        Ok(_) => Err("must be between 1s and 1d".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The keyring.
#[derive(Clone, Debug, clap::Args)]
pub struct KeyringSettings {
    /// The file with the keys that seal messages. [default: created on first start, in DATA_DIR/keyring.json]
    #[arg(long, env = "MAYFLY_KEYRING", value_name = "FILE")]
    pub keyring: Option<PathBuf>,
}

impl KeyringSettings {
    /// The keyring file, for an operator.
    #[must_use]
    pub fn file(&self, data: &DataSettings) -> KeyringFile {
        KeyringFile::new(self.path(data))
    }

    /// The path of the keyring file.
    #[must_use]
    pub fn path(&self, data: &DataSettings) -> PathBuf {
        self.keyring.clone().unwrap_or_else(|| data.data_dir.join("keyring.json"))
    }
}

/// The lifetimes of messages and receipts.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct LifetimeSettings {
    /// How long a message is stored unread, if its creator sets no lifetime: `30d`, `12h`, …, or `never`.
    #[arg(long, env = "MAYFLY_DEFAULT_TTL", default_value = "30d", value_name = "DURATION")]
    pub default_ttl: Lifetime,
    /// The longest lifetime that a creator may set, or `never` for no limit.
    #[arg(long, env = "MAYFLY_MAX_TTL", default_value = "90d", value_name = "DURATION")]
    pub max_ttl: Lifetime,
    /// How long the store remembers how a message ended.
    #[arg(
        long,
        env = "MAYFLY_RECEIPT_RETENTION",
        default_value = "30d",
        value_name = "DURATION",
        value_parser = humantime::parse_duration
    )]
    pub receipt_retention: Duration,
}

impl LifetimeSettings {
    /// How long a key is required after it sealed its last message: for the longest lifetime of a message, and then for
    /// its receipt, because a repeated creation derives its token from the key. A claim ends before its receipt.
    #[must_use]
    pub fn key_retention(&self) -> Lifetime {
        match (self.default_ttl, self.max_ttl) {
            (Lifetime::Limited(default), Lifetime::Limited(max)) => {
                Lifetime::Limited(default.max(max).saturating_add(self.receipt_retention))
            }
            _ => Lifetime::Never,
        }
    }
}

/// How much a store stores. It rejects creations beyond that; messages can always be viewed and burned.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct StorageSettings {
    /// The most unread messages.
    #[arg(long, env = "MAYFLY_MAX_MESSAGES", default_value_t = 10_000_000, value_name = "N")]
    pub max_messages: u64,
    /// About how many bytes messages, claims and receipts may take in the database.
    #[arg(long, env = "MAYFLY_MAX_STORED_BYTES", default_value_t = 8 << 30, value_name = "BYTES")]
    pub max_stored_bytes: u64,
    /// How many bytes stay free on the file system of a SQLite database, so that deleting always works; at most an
    /// eighth of the file system.
    #[arg(long, env = "MAYFLY_MIN_FREE_BYTES", default_value_t = 256 << 20, value_name = "BYTES")]
    pub min_free_bytes: u64,
}

impl StorageSettings {
    pub(crate) fn limits(&self) -> StorageLimits {
        let Self { max_messages, max_stored_bytes, min_free_bytes } = *self;
        StorageLimits { max_messages, max_bytes: max_stored_bytes, min_free_bytes }
    }
}

/// The settings of a store except for its data, tokens and limits.
#[derive(Clone, Debug, clap::Args)]
pub struct StoreSettings {
    /// Where the store listens for gRPC.
    #[arg(long, env = "MAYFLY_STORE_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    pub store_listen: SocketAddr,
    /// The keyring.
    #[command(flatten)]
    pub keyring: KeyringSettings,
    /// The lifetimes of messages and receipts.
    #[command(flatten)]
    pub lifetimes: LifetimeSettings,
    /// How much the store stores.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// How long a reader may repeat a view with its view id, until it acknowledges the view: 1s to 1d.
    #[arg(
        long,
        env = "MAYFLY_VIEW_GRACE",
        default_value = "10m",
        value_name = "DURATION",
        value_parser = parse_view_grace
    )]
    pub view_grace: Duration,
    /// Networks (`10.1.0.0/16`) or addresses of gateways, separated by commas. The store accepts the callers that they
    /// report. Calls that they make for themselves, as the bot does, are not subject to the rates of one caller.
    #[arg(
        long,
        env = "MAYFLY_TRUSTED_GATEWAYS",
        default_value = "127.0.0.0/8,::1/128",
        value_delimiter = ',',
        value_name = "NETWORKS",
        value_parser = parse_network
    )]
    pub trusted_gateways: Vec<IpNet>,
    /// Who may create messages.
    #[arg(long, env = "MAYFLY_CREATE_ACCESS", default_value = "open", value_name = "ACCESS")]
    pub create_access: CreateAccess,
    /// The rates of callers.
    #[command(flatten)]
    pub rates: RateSettings,
    /// Disable gRPC server reflection.
    #[arg(long, env = "MAYFLY_NO_REFLECTION")]
    pub no_reflection: bool,
}

/// Who may create messages. Reading and burning a message never needs more than its id and access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CreateAccess {
    /// Everybody.
    Open,
    /// Callers with an API token that has the scope `create` or `admin`, and the bot.
    Token,
}

/// How often callers may create messages and fail to identify one. A caller may use the calls of a minute in one burst.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct RateSettings {
    /// How many messages a caller may create per minute. A caller is an IPv4 address or an IPv6 /64 network. 0: no
    /// limit.
    #[arg(long, env = "MAYFLY_CREATIONS_PER_MINUTE", default_value_t = 300, value_name = "NUMBER")]
    pub creations_per_minute: u32,
    /// How many messages all callers together may create per minute. 0: no limit.
    #[arg(long, env = "MAYFLY_TOTAL_CREATIONS_PER_MINUTE", default_value_t = 6_000, value_name = "NUMBER")]
    pub total_creations_per_minute: u32,
    /// How many calls of a caller may fail per minute because of an unknown id, a wrong token (of a message, of the API
    /// or of an admin) or a wrong passphrase. Beyond that, such calls are rejected; calls with the right ones never are.
    /// 0: no limit.
    #[arg(long, env = "MAYFLY_FAILED_READS_PER_MINUTE", default_value_t = 120, value_name = "NUMBER")]
    pub failed_reads_per_minute: u32,
    /// The same for all callers together. 0: no limit.
    #[arg(long, env = "MAYFLY_TOTAL_FAILED_READS_PER_MINUTE", default_value_t = 6_000, value_name = "NUMBER")]
    pub total_failed_reads_per_minute: u32,
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| "must be IP networks (10.1.0.0/16) or addresses, separated by commas".to_owned())
}

impl StoreSettings {
    /// The limits of messages.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when they contradict each other.
    pub(crate) fn limits(&self, limits: &LimitSettings) -> Result<MessageLimits, SettingsError> {
        let second = Duration::from_secs(1);
        let LifetimeSettings { default_ttl, max_ttl, receipt_retention } = self.lifetimes;
        for (setting, lifetime) in [("--default-ttl", default_ttl), ("--max-ttl", max_ttl)] {
            if matches!(lifetime, Lifetime::Limited(lifetime) if lifetime < second) {
                return Err(SettingsError::TooShort { setting });
            }
        }
        let is_above_max = match (default_ttl, max_ttl) {
            (_, Lifetime::Never) => false,
            (Lifetime::Never, Lifetime::Limited(_)) => true,
            (Lifetime::Limited(default), Lifetime::Limited(max)) => default > max,
        };
        if is_above_max {
            return Err(SettingsError::DefaultAboveMax);
        }
        if receipt_retention < self.view_grace {
            return Err(SettingsError::ReceiptBelowGrace);
        }
        Ok(MessageLimits { max_text_bytes: limits.max_text_bytes, default_ttl, max_ttl })
    }

    /// The keyring, created on first start.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when it cannot be read or created, or is invalid.
    pub(crate) fn keyring(&self, data: &DataSettings) -> Result<Keyring, SettingsError> {
        let file = self.keyring.path(data);
        let json = secret_file::read_or_create(&file, data.secret_access(), || {
            Ok(Keyring::generate().map_err(std::io::Error::other)?.to_json())
        })
        .map_err(|error| SettingsError::file("--keyring", error))?;
        Keyring::from_json(&json).map_err(|source| SettingsError::Keyring { file, source })
    }
}

/// A setting cannot be used. The message names it.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file that a setting names cannot be used.
    #[error("{setting} cannot be used")]
    File {
        /// The setting.
        setting: &'static str,
        /// Why.
        source: SecretFileError,
    },
    /// The file does not contain a keyring.
    #[error("--keyring: {} is no keyring", file.display())]
    Keyring {
        /// The file.
        file: PathBuf,
        /// Why.
        source: InvalidKeyring,
    },
    /// The database URL is of an unknown kind.
    #[error(transparent)]
    Database(DatabaseError),
    /// The URL of PostgreSQL cannot be parsed.
    #[error("--database-url is no URL of PostgreSQL, such as postgres://user:password@host/name")]
    PostgresUrl(#[source] sqlx::Error),
    /// A token is short enough to be guessed, or contains characters that a header cannot.
    #[error("{setting} must be at least {MIN_TOKEN_LENGTH} visible ASCII characters")]
    WeakToken {
        /// The setting.
        setting: &'static str,
    },
    /// A lifetime is below a second.
    #[error("{setting} must be at least 1s")]
    TooShort {
        /// The setting.
        setting: &'static str,
    },
    /// The default lifetime is longer than the longest lifetime.
    #[error("--default-ttl must not be longer than --max-ttl")]
    DefaultAboveMax,
    /// A receipt would be purged while its reader may still acknowledge the view.
    #[error(
        "--receipt-retention must not be shorter than --view-grace: \
         a view cannot be acknowledged when its receipt is gone"
    )]
    ReceiptBelowGrace,
}

impl SettingsError {
    fn file(setting: &'static str, source: SecretFileError) -> Self {
        Self::File { setting, source }
    }
}
