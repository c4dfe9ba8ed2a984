//! `keywright bench baseline`: limits of this machine that no server on it can beat.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use url::Url;

use crate::args::{BaselineArgs, Operation, load_threads};
use crate::calls::{Call, Calls, Operations};
use crate::cpu::{Processes, own_threads};
use crate::database::database;
use crate::progress::bar;
use crate::results::{BareResponse, LoadResult, float};
use crate::run::{Plan, Point, Side, measure};
use crate::signing::{self, SigningSpeed};
use crate::target::Target;
use crate::update_bench::UpdateBench;

/// Name of the bare server's threads, by which their CPU time is found.
const SERVER_THREADS: &str = "bare-server";

/// All raw limits.
#[derive(Clone, Debug, Serialize)]
pub struct BaselineReport {
    pub interrupted: bool,
    /// Bare responses of the size of a refresh's, by sessions.
    #[serde(rename = "answers")]
    pub responses: Vec<BareResponse>,
    pub signatures: Vec<SigningSpeed>,
    /// Absent without `--database-url`.
    pub updates: Option<Updates>,
}

/// Batched UPDATEs on one connection.
#[derive(Clone, Debug, Serialize)]
pub struct Updates {
    pub fsync: String,
    pub synchronous_commit: String,
    pub sizes: Vec<UpdateCost>,
}

/// The cost of one batch size.
#[derive(Clone, Debug, Serialize)]
pub struct UpdateCost {
    pub rows_per_statement: u64,
    pub us_per_statement: f64,
    pub us_per_row: f64,
    /// CPU time of the backend; absent where it cannot be seen (another machine, a container).
    pub backend_cpu_us_per_row: Option<f64>,
}

/// Measures one limit after the other; `stop` ends it with what is known.
pub async fn baseline(
    args: &BaselineArgs,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<BaselineReport> {
    // What can be refused is refused before the first measurement.
    let database = match &args.database_url {
        Some(url) => Some(database(url, args.allow_remote).await?),
        None => None,
    };
    let responses = bare_responses(&args.sessions, args.seconds, args.threads, &stop).await?;
    let (time, signing_stop) = (args.seconds / 2, Arc::clone(&stop));
    let signing = tokio::task::spawn_blocking(move || signing::measure(time, &signing_stop));
    let signatures = signing.await.context("signing ended unexpectedly")??;
    let updates = match &database {
        Some(options) => Some(updates(options, args, &stop).await?),
        None => None,
    };
    let interrupted = stop.load(Ordering::Relaxed);
    Ok(BaselineReport { interrupted, responses, signatures, updates })
}

/// The closed loop against a server that does nothing, at each of these counts.
pub async fn bare_responses(
    sessions: &[u64],
    seconds: Duration,
    threads: Option<u16>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Vec<BareResponse>> {
    let server = BareServer::start()?;
    let url: Url = format!("http://{}", server.address).parse()?;
    let target = Arc::new(Target::resolve(&url, false).await?);
    let mut all = Vec::new();
    for &count in sessions {
        let count = usize::try_from(count)?;
        let plan = Plan {
            points: Point::closed(&[count]),
            seconds,
            warmup: seconds.min(Duration::from_millis(300)),
            timeout: Duration::from_secs(5),
            threads: load_threads(threads),
        };
        let call = Call::Own(Operation::Refresh, TOKEN.to_owned());
        let side = Side {
            target: Arc::clone(&target),
            nodes: Vec::new(),
            operations: Operations::only(Operation::Refresh.name(), Calls::Shared(call)),
            watched: Vec::new(),
            database: None,
        };
        // The warm-up's share is in the server's time and not in the count: scale it out.
        let share = seconds.as_secs_f64() / (seconds + plan.warmup).as_secs_f64();
        let before = own_threads(SERVER_THREADS);
        let (measured, _) = measure(plan, vec![side], Arc::clone(stop)).await?;
        let used = own_threads(SERVER_THREADS)
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before));
        for measured in &measured {
            let client = LoadResult::new(measured);
            let requests = float(client.requests);
            let server_us_per_request = used
                .filter(|_| client.requests > 0)
                .map(|used| used.as_secs_f64() * share * 1e6 / requests);
            all.push(BareResponse { client, server_us_per_request });
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    server.stop();
    Ok(all)
}

const TOKEN: &str = "3f0c9a52-7d0e-4a86-9d8c-2f1c5b7a9e44";

/// An HTTP server that reads the request and sends the same response every time.
struct BareServer {
    runtime: Runtime,
    address: SocketAddr,
}

impl BareServer {
    fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name(SERVER_THREADS)
            .enable_all()
            .build()
            .context("a runtime")?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("a free port")?;
        listener.set_nonblocking(true).context("a free port")?;
        let address = listener.local_addr().context("a free port")?;
        let body = Bytes::from(format!(
            r#"{{"accessToken":"{}","accessTokenExpiresIn":900,"refreshToken":"{TOKEN}","user":{{"id":"{TOKEN}"}}}}"#,
            "e".repeat(700)
        ));
        // The runtime owns its tasks and ends them with itself.
        runtime.handle().spawn(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let body = body.clone();
                let service = service_fn(move |request| respond(request, body.clone()));
                let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move {
                    let _ = serving.await;
                });
            }
        });
        Ok(Self { runtime, address })
    }

    /// Must not be left to `drop`, which may not wait inside another runtime.
    fn stop(self) {
        self.runtime.shutdown_background();
    }
}

async fn respond(
    request: Request<Incoming>,
    body: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // Nobody waits for the response to a cut request.
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn updates(
    options: &PgConnectOptions,
    args: &BaselineArgs,
    stop: &AtomicBool,
) -> anyhow::Result<Updates> {
    let opened = UpdateBench::open(options).await;
    let mut bench = opened
        .context("--database-url: cannot make the table")?
        .context("another `bench baseline` runs on this database")?;
    let measured = sizes(&mut bench, args, stop).await;
    let closed = bench.close().await;
    let measured = measured.context("batched UPDATE")?;
    closed.context("cannot drop the schema keywright_bench_floor")?;
    Ok(measured)
}

async fn sizes(
    bench: &mut UpdateBench,
    args: &BaselineArgs,
    stop: &AtomicBool,
) -> anyhow::Result<Updates> {
    let (fsync, synchronous_commit) = bench.durability().await?;
    let pid = u32::try_from(bench.backend_pid().await?).unwrap_or(0);
    let cpu = || Processes::read().cpu_of_tree(pid);
    let progress = bar(args.rows.len() as u64, "batched UPDATE");
    let mut sizes = Vec::new();
    for &rows in &args.rows {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let before = cpu();
        let go_on = || !stop.load(Ordering::Relaxed);
        let time = bench.run(usize::try_from(rows)?, args.seconds, go_on).await?;
        let used = cpu().zip(before).map(|(after, before)| after.saturating_sub(before));
        let micros = time.elapsed.as_secs_f64() * 1e6;
        let all_rows = float(time.rows.max(1));
        sizes.push(UpdateCost {
            rows_per_statement: rows,
            us_per_statement: micros / float(time.statements.max(1)),
            us_per_row: micros / all_rows,
            backend_cpu_us_per_row: used.map(|used| used.as_secs_f64() * 1e6 / all_rows),
        });
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(Updates { fsync, synchronous_commit, sizes })
}

impl BaselineReport {
    /// The tables, several lines, without a line end at its end.
    pub fn table(&self) -> String {
        let show = |value: Option<f64>| {
            value.map_or_else(|| "n/a".to_owned(), |value| format!("{value:.1}"))
        };
        let mut text = "bare HTTP response\n".to_owned();
        let _ = writeln!(
            text,
            "{:>9}{:>11}{:>9}{:>9}{:>15}{:>15}",
            "sessions", "resp./s", "p50 ms", "p99", "client µs CPU", "server µs CPU"
        );
        for BareResponse { client, server_us_per_request } in &self.responses {
            let _ = writeln!(
                text,
                "{:>9}{:>11.0}{:>9.3}{:>9.3}{:>15}{:>15}",
                client.sessions,
                client.per_second,
                client.latency_ms.p50,
                client.latency_ms.p99,
                show(client.client_cpu.and_then(|cpu| cpu.us_per_request)),
                show(*server_us_per_request)
            );
        }
        let _ = writeln!(text, "\naccess token signed, one core");
        let _ = writeln!(text, "{:>9}{:>11}{:>9}{:>22}", "", "JWT/s", "µs", "µs, key kept parsed");
        for row in &self.signatures {
            let _ = writeln!(
                text,
                "{:>9}{:>11.0}{:>9.1}{:>22}",
                row.algorithm,
                row.jwt_per_second,
                row.jwt_us,
                show(row.signature_us)
            );
        }
        if let Some(updates) = &self.updates {
            let _ = writeln!(
                text,
                "\nbatched UPDATE, one connection (fsync {}, synchronous_commit {})",
                updates.fsync, updates.synchronous_commit
            );
            let _ = writeln!(
                text,
                "{:>9}{:>14}{:>9}{:>20}",
                "rows", "µs/statement", "µs/row", "backend µs CPU/row"
            );
            for row in &updates.sizes {
                let _ = writeln!(
                    text,
                    "{:>9}{:>14.0}{:>9.1}{:>20}",
                    row.rows_per_statement,
                    row.us_per_statement,
                    row.us_per_row,
                    show(row.backend_cpu_us_per_row)
                );
            }
        }
        if self.interrupted {
            text.push_str("interrupted: these are the results so far");
        }
        text.truncate(text.trim_end().len());
        text
    }
}
