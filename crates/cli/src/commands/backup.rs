use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use clap::Subcommand;
use confman_backup::{
    At, Backup, BackupError, Head, Kind, Location, Made, Object, ObjectId, PointName, Progress,
    Source, SourceError, Verified,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::commands::serve;
use crate::context::{Connection, Context};
use crate::error::{CliError, chain};
use crate::exit::Exit;
use crate::render;
use crate::report::{Report, output};
use crate::text::escape;

/// Copy a store elsewhere, again and again, verify the copies, and restore them
///
/// Examples:
///   confman backup create /mnt/backup                # what the server has and the place has not
///   confman backup create s3://bucket/confman
///   confman backup create /mnt/backup --data DIR     # of a directory that no server runs on
///   confman backup list /mnt/backup
///   confman backup verify /mnt/backup
///   confman backup restore /mnt/backup --data NEW
///   confman backup restore /mnt/backup --data NEW --at "2h ago"
///
/// A backup is made while the store serves, by an admin of `/`, by way of any node. Each time
/// only what the place lacks is copied, and the place can be restored as of any operation
/// since the first. A backup that is stopped leaves those before it as they are; the next one
/// goes on where it was. A place is a directory, or s3://BUCKET/PREFIX of any storage that
/// speaks S3: credentials, region and endpoint come from the environment (AWS_ACCESS_KEY_ID,
/// AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, …).
///
/// What is restored is a cluster of its own, with a new identity: clients, working copies and
/// nodes of the old one do not take it for theirs.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: BackupCommand,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Copy to a place what it lacks
    Create {
        /// The place: a directory, or s3://BUCKET/PREFIX; made if it is not there
        #[arg(value_name = "TO")]
        to: Location,
        /// A data directory that no server runs on, instead of the server
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// List as of what a place can be restored
    List {
        /// The place
        #[arg(value_name = "FROM")]
        from: Location,
    },
    /// Read and hash everything that a restore would take
    Verify {
        /// The place
        #[arg(value_name = "FROM")]
        from: Location,
        /// The backup as of this operation's number; the newest if not given
        #[arg(long, value_name = "N", conflicts_with = "all")]
        point: Option<u64>,
        /// Every backup of the place
        #[arg(long)]
        all: bool,
    },
    /// Make a data directory of a backup
    Restore {
        /// The place
        #[arg(value_name = "FROM")]
        from: Location,
        /// The data directory to make; it must be empty, or not there
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// As of the last operation up to then: a log index, an operation by 8 digits of its id or more, a time
        #[arg(long, value_name = "WHEN", value_parser = at)]
        at: Option<At>,
        /// Take the backup as of this operation's number; the newest if not given
        #[arg(long, value_name = "N")]
        point: Option<u64>,
    },
}

/// What `--json` prints of a backup that was made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MadeBackup {
    /// The place.
    pub(crate) place: String,
    /// Number of the operation that it is as of.
    pub(crate) sequence: u64,
    /// That operation.
    pub(crate) operation: String,
    /// Its log index.
    pub(crate) index: u64,
    /// Its time.
    pub(crate) time: String,
    /// Whether nothing had happened since the one before.
    pub(crate) unchanged: bool,
    /// Objects that the place had not.
    pub(crate) objects: u64,
    /// Bytes that were written.
    pub(crate) bytes: u64,
}

/// What `--json` prints of a point.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedPoint {
    /// Number of the operation that it is as of.
    pub(crate) sequence: u64,
    /// That operation; its first digits where the point cannot be read.
    pub(crate) operation: String,
    /// Everything that it says.
    #[serde(flatten)]
    pub(crate) says: Option<PointSays>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// What a point says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PointSays {
    /// The cluster.
    pub(crate) cluster_id: String,
    /// Log index of its operation.
    pub(crate) index: u64,
    /// Time of its operation.
    pub(crate) time: String,
    /// When it was made.
    pub(crate) made: String,
    /// Objects that it takes.
    pub(crate) objects: u64,
    /// Bytes of its bundles.
    pub(crate) bytes: u64,
    /// How many these are.
    pub(crate) bundles: u64,
}

/// What `--json` prints of a verification.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifiedBackup {
    /// Points that were looked at.
    pub(crate) points: u64,
    /// Bundles that were read.
    pub(crate) bundles: u64,
    /// Objects that were hashed.
    pub(crate) objects: u64,
    /// Bytes that were read.
    pub(crate) bytes: u64,
    /// Everything that is wrong.
    pub(crate) problems: Vec<String>,
}

/// What `--json` prints of a restore.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestoredStore {
    /// The directory.
    pub(crate) data: PathBuf,
    /// Identity of the new cluster.
    pub(crate) cluster_id: String,
    /// Number of the operation that it is as of.
    pub(crate) sequence: u64,
    /// That operation.
    pub(crate) operation: String,
    /// Its log index in the old cluster.
    pub(crate) index: u64,
    /// Its time.
    pub(crate) time: String,
    /// Objects.
    pub(crate) objects: u64,
    /// Derived rows that were made again.
    pub(crate) rows: u64,
    /// Whether `admin.token` in the directory holds a new token of the first administrator.
    pub(crate) admin_token: bool,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        match self.command {
            BackupCommand::Create { to, data } => create(cx, &to, data),
            BackupCommand::List { from } => list(cx, &from),
            BackupCommand::Verify { from, point, all } => verify(cx, &from, point, all),
            BackupCommand::Restore {
                from,
                data,
                at,
                point,
            } => restore(cx, &from, data, &at.unwrap_or(At::Newest), point),
        }
    }
}

fn create(cx: &Context, to: &Location, data: Option<PathBuf>) -> Result<Report, CliError> {
    let made = match data {
        Some(data) => {
            let session = confman_server::hold(&data).map_err(serve::error)?;
            make(cx, to, &session)?
        }
        None => {
            let server = FromServer {
                connection: cx.connect()?,
                failed: RefCell::default(),
            };
            // The server's own words say more than that it did not give something.
            make(cx, to, &server).map_err(|error| server.failed.take().unwrap_or(error))?
        }
    };
    for warning in &made.warnings {
        cx.ui.warn(warning);
    }
    let head = made.point.head;
    let made = MadeBackup {
        place: to.to_string(),
        sequence: head.sequence,
        operation: head.operation.to_string(),
        index: head.index,
        time: time(head.time_ms),
        unchanged: made.was_there,
        objects: made.objects,
        bytes: made.bytes,
    };
    Ok(Report::one(made, render::backup::made))
}

fn make(cx: &Context, to: &Location, source: &dyn Source) -> Result<Made, CliError> {
    // Before anything is written: who may not make a backup leaves nothing behind.
    source.head().map_err(BackupError::Source)?;
    let backup = Backup::open_or_begin(to.storage().map_err(BackupError::from)?)?;
    let progress = cx.ui.progress("copying objects");
    let now_ms = Timestamp::now().as_millisecond();
    let made = backup.make(source, now_ms, &mut |told: Progress| {
        progress.at(told.objects, 0);
    })?;
    Ok(made)
}

fn list(cx: &Context, from: &Location) -> Result<Report, CliError> {
    let backup = Backup::open(from.storage().map_err(BackupError::from)?)?;
    let points: Vec<ListedPoint> = backup.list()?.into_iter().map(listed).collect();
    if cx.ui.json {
        let points = points.into_iter();
        return Ok(Report::stream(
            points.map(|point| Ok(output(point, |_| crate::text::Text::new()))),
        ));
    }
    Ok(Report::one(points, |points| render::backup::points(points)))
}

fn listed(listed: confman_backup::Listed) -> ListedPoint {
    let PointName {
        sequence,
        operation,
    } = listed.name;
    match listed.point {
        Ok(point) => ListedPoint {
            sequence,
            operation: point.head.operation.to_string(),
            says: Some(PointSays {
                cluster_id: point.cluster(),
                index: point.head.index,
                time: time(point.head.time_ms),
                made: time(point.made_ms),
                objects: point.objects(),
                bytes: point.bytes(),
                bundles: point.bundles.len() as u64,
            }),
            problem: None,
        },
        Err(error) => ListedPoint {
            sequence,
            operation,
            says: None,
            problem: Some(chain(&error)),
        },
    }
}

fn verify(
    cx: &Context,
    from: &Location,
    point: Option<u64>,
    all: bool,
) -> Result<Report, CliError> {
    let backup = Backup::open(from.storage().map_err(BackupError::from)?)?;
    let names = match all {
        true => backup.points()?,
        false => vec![backup.find(point)?],
    };
    let progress = cx.ui.progress("reading objects");
    let verified: Verified = backup.verify(&names, &mut |told| progress.at(told.objects, 0))?;
    let exit = match verified.problems.is_empty() {
        true => Exit::Ok,
        false => Exit::Invalid,
    };
    let verified = VerifiedBackup {
        points: verified.points,
        bundles: verified.bundles,
        objects: verified.objects,
        bytes: verified.bytes,
        problems: verified.problems,
    };
    Ok(Report::one(verified, render::backup::verified).exiting(exit))
}

fn restore(
    cx: &Context,
    from: &Location,
    data: PathBuf,
    at: &At,
    point: Option<u64>,
) -> Result<Report, CliError> {
    let backup = Backup::open(from.storage().map_err(BackupError::from)?)?;
    let name = backup.find(point)?;
    let progress = cx.ui.progress("restoring objects");
    let (restored, says) = backup.restore(&name, at, &data, &mut |told| {
        progress.at(told.objects, 0);
    })?;
    drop(progress);
    let _completing = cx.ui.progress("making indexes");
    let detail = serde_json::json!({
        "from": from.to_string(),
        "cluster": says.cluster(),
        "operation": restored.operation.to_string(),
        "sequence": restored.sequence,
        "index": restored.index,
    });
    let completed = confman_server::complete_restored(&data, detail).map_err(serve::error)?;
    let told = RestoredStore {
        cluster_id: completed.cluster_id,
        sequence: restored.sequence,
        operation: restored.operation.to_string(),
        index: restored.index,
        time: time(restored.time_ms),
        objects: restored.objects,
        rows: completed.rows,
        admin_token: completed.admin_token,
        data,
    };
    Ok(Report::one(told, render::backup::restored))
}

/// A server as what a backup is made from.
struct FromServer {
    connection: Rc<Connection>,
    /// What it said when it did not give something.
    failed: RefCell<Option<CliError>>,
}

impl FromServer {
    fn told<T>(&self, answer: Result<T, CliError>) -> Result<T, SourceError> {
        answer.map_err(|error| {
            let what = error.what.clone();
            self.failed.replace(Some(error));
            what.into()
        })
    }
}

impl Source for FromServer {
    fn head(&self) -> Result<Head, SourceError> {
        let client = &self.connection.client;
        let head = self.told(self.connection.wait(client.backup_head()))?;
        Head::from_text(
            &head.cluster_id,
            &head.operation,
            head.sequence,
            head.index,
            head.time_ms,
        )
    }

    fn operations(&self, after: u64) -> Result<Vec<ObjectId>, SourceError> {
        let client = &self.connection.client;
        self.told(self.connection.wait(client.backup_operations(after)))
    }

    fn objects(&self, wanted: &[(Kind, ObjectId)]) -> Result<Vec<Object>, SourceError> {
        let client = &self.connection.client;
        self.told(self.connection.wait(client.backup_objects(wanted)))
    }
}

/// Reads as of when to restore: all digits are a log index, eight and more digits of which one is a letter begin
/// an operation, everything else is a time.
fn at(text: &str) -> Result<At, String> {
    let wrong = || {
        format!(
            "`{}` is no log index, no operation (8 digits of its id or more) and no time (`2026-11-20T10:00Z`, `2h ago`)",
            escape(text)
        )
    };
    if text.len() < 64 && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return text.parse().map(At::Index).map_err(|_| wrong());
    }
    if let Ok(prefix) = text.parse() {
        return Ok(At::Operation(prefix));
    }
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => {
            let span: jiff::Span = text.parse().map_err(|_| wrong())?;
            Timestamp::now()
                .to_zoned_datetime(jiff::tz::TimeZone::UTC)
                .checked_add(span)
                .map_err(|_| wrong())?
                .timestamp()
        }
    };
    Ok(At::Time(moment.as_millisecond()))
}

/// A time of a backup in text.
fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        let why = std::error::Error::source(&error).map(chain);
        let what = error.to_string();
        let (exit, next) = match &error {
            BackupError::Nothing { .. } => (Exit::NotFound, "`confman backup create` makes one"),
            BackupError::NotFound { .. } => (
                Exit::NotFound,
                "`confman backup list` shows as of what there are backups",
            ),
            BackupError::NoBackup { .. } => (Exit::Conflict, ""),
            BackupError::OtherCluster { .. } => (
                Exit::Conflict,
                "choose another place; a store that was restored is a cluster of its own",
            ),
            BackupError::Ahead { .. } => (
                Exit::Conflict,
                "ask a node that has caught up (`confman cluster status`), or choose another place",
            ),
            BackupError::NewerFormat { .. } => (Exit::Invalid, "use a newer confman"),
            BackupError::Damaged { .. } => (
                Exit::Invalid,
                "`confman backup verify --all` tells which backups can be restored; the next `backup create` brings what is missing",
            ),
            BackupError::Restore(confman_backup::RestoreError::Open(
                confman_server::OpenError::NotEmpty { .. },
            )) => (Exit::Conflict, "name another directory"),
            BackupError::Restore(confman_backup::RestoreError::NotWhole { .. }) => {
                (Exit::Invalid, "`confman backup verify` tells more")
            }
            BackupError::Storage(_) => (
                Exit::Unreachable,
                "check the place; for s3:// also AWS_ENDPOINT_URL, AWS_REGION and the credentials",
            ),
            BackupError::Source(_) | BackupError::Restore(_) | BackupError::Io { .. } => {
                (Exit::Failure, "")
            }
        };
        let told = Self {
            why,
            ..Self::new(exit, what)
        };
        match next {
            "" => told,
            next => told.next(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_of_when_is_an_index_an_operation_or_a_time() {
        assert_eq!(at("4711"), Ok(At::Index(4711)));
        assert!(matches!(at("0123abcd"), Ok(At::Operation(_))));
        assert!(matches!(at(&"1".repeat(64)), Ok(At::Operation(_))));
        assert_eq!(at("1970-01-01T00:00:01Z"), Ok(At::Time(1000)));
        let now = Timestamp::now().as_millisecond();
        let two_hours = 2 * 60 * 60 * 1000;
        assert!(matches!(at("2h ago"), Ok(At::Time(ms)) if (now - two_hours - ms).abs() < 60_000));
        insta::assert_snapshot!(at("abc").unwrap_err(), @"`abc` is no log index, no operation (8 digits of its id or more) and no time (`2026-11-20T10:00Z`, `2h ago`)");
    }
}
