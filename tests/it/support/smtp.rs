//! A small SMTP server that keeps what it is given and fails as told.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use keywright::config::{SmtpAuthMethod, SmtpConfig};
use md5::Md5;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

pub(crate) const USER: &str = "postman";
pub(crate) const PASSWORD: &str = "pässword with = and \" in it";

/// When the server speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Never,
    /// By STARTTLS.
    Upgrade,
    Implicit,
}

/// What to do to one connection.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Close it instead of greeting.
    Drop,
    /// Reply to the first command that starts with `at` with `line`; `.` is the end of the data.
    Reply { at: &'static str, line: &'static str },
    /// Never reply to that command.
    Hang { at: &'static str },
}

/// One accepted message.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Mechanism, if the client has signed in.
    pub(crate) auth: Option<String>,
    pub(crate) encrypted: bool,
    /// Without dot-stuffing.
    pub(crate) data: Vec<u8>,
}

impl Received {
    /// The value of a header line exactly as it came, if it is on one line.
    pub(crate) fn raw_header(&self, name: &str) -> Option<String> {
        let lines = self.data.split(|byte| *byte == b'\n');
        lines
            .map(<[u8]>::trim_ascii_end)
            .take_while(|line| !line.is_empty())
            .find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b": "))
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    faults: Mutex<VecDeque<Fault>>,
    connections: Mutex<usize>,
    /// Every command line of every connection.
    commands: Mutex<Vec<String>>,
}

/// The server; stops when dropped.
pub(crate) struct SmtpServer {
    pub(crate) address: SocketAddr,
    tls: Tls,
    shared: Arc<Shared>,
    ca_file: PathBuf,
    _tasks: JoinSet<()>,
}

impl SmtpServer {
    pub(crate) async fn start(tls: Tls) -> Self {
        Self::start_on("127.0.0.1:0", tls).await
    }

    pub(crate) async fn start_on(address: &str, tls: Tls) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let names = ["localhost", "127.0.0.1", "127.0.0.2", "::1"].map(ToOwned::to_owned);
        // It signs itself and calls itself an authority, as most do that people make.
        let mut params = CertificateParams::new(names).expect("names are valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let ca_file =
            std::env::temp_dir().join(format!("keywright-smtp-{}.pem", uuid::Uuid::new_v4()));
        std::fs::write(&ca_file, certificate.pem()).expect("the temp folder is writable");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("key and certificate fit");
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        let serving = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _peer)) = listener.accept().await {
                *serving.connections.lock().expect("no panics") += 1;
                let shared = Arc::clone(&serving);
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let fault = shared.faults.lock().expect("no panics").pop_front();
                    let stream: Box<dyn Stream> = if tls == Tls::Implicit {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        Box::new(stream)
                    } else {
                        Box::new(stream)
                    };
                    let mut session = Session {
                        stream: BufReader::new(stream),
                        encrypted: tls == Tls::Implicit,
                        offers_tls: tls == Tls::Upgrade,
                        auth: None,
                        fault,
                        shared,
                    };
                    // A client that hangs up is no failure of the test.
                    let _ = session.serve(acceptor).await;
                });
            }
        });
        Self { address, tls, shared, ca_file, _tasks: tasks }
    }

    /// How to reach this server with its credentials.
    pub(crate) fn config(&self, auth_method: SmtpAuthMethod) -> SmtpConfig {
        SmtpConfig {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            implicit_tls: self.tls == Tls::Implicit,
            tls: None,
            user: USER.to_owned(),
            password: PASSWORD.into(),
            auth_method,
            ca_file: Some(self.ca_file.clone()),
            helo: String::new(),
        }
    }

    /// Lets the next connections fail, one after the other.
    pub(crate) fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.faults.lock().expect("no panics").extend(faults);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no panics").clone()
    }

    /// All mail to this address so far.
    pub(crate) fn received_by(&self, address: &str) -> Vec<Received> {
        let all = self.shared.received.lock().expect("no panics");
        all.iter().filter(|mail| mail.to.iter().any(|to| to == address)).cloned().collect()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.lock().expect("no panics")
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.shared.commands.lock().expect("no panics").clone()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.ca_file);
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

struct Session {
    stream: BufReader<Box<dyn Stream>>,
    encrypted: bool,
    offers_tls: bool,
    auth: Option<String>,
    fault: Option<Fault>,
    shared: Arc<Shared>,
}

impl Session {
    async fn serve(&mut self, acceptor: TlsAcceptor) -> std::io::Result<()> {
        if matches!(self.fault, Some(Fault::Drop)) {
            return Ok(());
        }
        self.say("220 test ESMTP").await?;
        let mut from = String::new();
        let mut to = Vec::new();
        loop {
            let line = self.read().await?;
            let command = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            if self.misbehave(&command).await? {
                continue;
            }
            match command.as_str() {
                "EHLO" => self.hello().await?,
                "STARTTLS" if self.offers_tls => {
                    self.say("220 go ahead").await?;
                    let plain = std::mem::replace(
                        &mut self.stream,
                        BufReader::new(Box::new(tokio::io::empty())),
                    );
                    let stream = acceptor.accept(plain.into_inner()).await?;
                    self.stream = BufReader::new(Box::new(stream));
                    self.encrypted = true;
                    self.offers_tls = false;
                }
                "AUTH" => self.authenticate(&line).await?,
                "MAIL" => {
                    from = path(&line);
                    self.say("250 ok").await?;
                }
                "RCPT" => {
                    to.push(path(&line));
                    self.say("250 ok").await?;
                }
                "DATA" => {
                    self.say("354 go ahead").await?;
                    let data = self.read_data().await?;
                    if self.misbehave(".").await? {
                        continue;
                    }
                    let received = Received {
                        from: std::mem::take(&mut from),
                        to: std::mem::take(&mut to),
                        auth: self.auth.clone(),
                        encrypted: self.encrypted,
                        data,
                    };
                    self.shared.received.lock().expect("no panics").push(received);
                    self.say("250 kept").await?;
                }
                "QUIT" => return self.say("221 bye").await,
                _ => self.say("500 what?").await?,
            }
        }
    }

    async fn hello(&mut self) -> std::io::Result<()> {
        self.say("250-test").await?;
        if self.offers_tls {
            self.say("250-STARTTLS").await?;
        }
        self.say("250-8BITMIME").await?;
        self.say("250 AUTH PLAIN LOGIN CRAM-MD5").await
    }

    async fn authenticate(&mut self, line: &str) -> std::io::Result<()> {
        let mut words = line.split(' ').skip(1);
        let mechanism = words.next().unwrap_or_default().to_owned();
        let good = match mechanism.as_str() {
            "PLAIN" => decode(words.next().unwrap_or_default()) == format!("\0{USER}\0{PASSWORD}"),
            "LOGIN" => {
                let user = self.ask("User Name:").await?;
                let password = self.ask("Password:").await?;
                user == USER && password == PASSWORD
            }
            "CRAM-MD5" => {
                let challenge = "<1896.697170952@test>";
                let response = self.ask(challenge).await?;
                let mut mac = Hmac::<Md5>::new_from_slice(PASSWORD.as_bytes()).expect("any length");
                mac.update(challenge.as_bytes());
                let mut expected = format!("{USER} ");
                for byte in mac.finalize().into_bytes() {
                    write!(expected, "{byte:02x}").expect("strings take everything");
                }
                response == expected
            }
            _ => return self.say("504 unknown mechanism").await,
        };
        if good {
            self.auth = Some(mechanism);
            self.say("235 welcome").await
        } else {
            self.say("535 wrong").await
        }
    }

    async fn ask(&mut self, question: &str) -> std::io::Result<String> {
        self.say(&format!("334 {}", BASE64.encode(question))).await?;
        Ok(decode(&self.read().await?))
    }

    /// Whether the scripted fault has taken this command.
    async fn misbehave(&mut self, command: &str) -> std::io::Result<bool> {
        match self.fault {
            Some(Fault::Reply { at, line }) if at == command => {
                self.fault = None;
                self.say(line).await?;
                Ok(true)
            }
            Some(Fault::Hang { at }) if at == command => {
                std::future::pending::<()>().await;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn read(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        self.shared.commands.lock().expect("no panics").push(line.clone());
        Ok(line)
    }

    async fn read_data(&mut self) -> std::io::Result<Vec<u8>> {
        let mut data = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            assert!(line.ends_with(b"\r\n"), "a bare line feed");
            assert!(line.len() <= 1000, "a line longer than SMTP allows");
            if line == b".\r\n" {
                return Ok(data);
            }
            data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    async fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }
}

fn path(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(path, _)| path.to_owned()).expect("a path in angle brackets")
}

fn decode(text: &str) -> String {
    String::from_utf8(BASE64.decode(text).expect("base64")).expect("UTF-8")
}

/// Waits for a condition, for half a minute at most.
pub(crate) async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..3_000 {
        ticks.tick().await;
        if condition().await {
            return;
        }
    }
    panic!("waited too long for {what}");
}
