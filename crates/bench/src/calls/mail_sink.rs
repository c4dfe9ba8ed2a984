//! A mailbox for everybody: takes any mail and hands the link in it to whoever waits for it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Longest line of SMTP that is read.
const MAX_LINE: usize = 65_536;
/// Connections served at once.
const MAX_CONNECTIONS: usize = 512;
/// The header in which servers of this contract repeat the link of a mail.
const LINK_HEADER: &str = "x-link";

/// An SMTP server on this machine, until it is dropped.
#[derive(Debug)]
pub struct MailSink {
    address: SocketAddr,
    waiting: Arc<Waiting>,
    _tasks: JoinSet<()>,
}

/// Who waits for the next link, by address in lower case.
type Waiting = Mutex<HashMap<String, oneshot::Sender<String>>>;

impl MailSink {
    /// Listens on a port of this machine only; 0 takes a free one.
    pub async fn start(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.with_context(|| format!("--mail-port {port}"))?;
        let address = listener.local_addr().context("--mail-port")?;
        let waiting = Arc::<Waiting>::default();
        let (shared, mut tasks) = (Arc::clone(&waiting), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                if connections.len() >= MAX_CONNECTIONS {
                    connections.join_next().await;
                }
                while connections.try_join_next().is_some() {}
                let waiting = Arc::clone(&shared);
                connections.spawn(async move {
                    // Whoever hangs up mails no more.
                    let _ = serve(BufReader::new(stream), &waiting).await;
                });
            }
        });
        Ok(Self { address, waiting, _tasks: tasks })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The link of the next mail to this address.
    pub fn next_link(&self, address: &str) -> oneshot::Receiver<String> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(address.to_ascii_lowercase(), sender);
        receiver
    }
}

/// One conversation (RFC 5321), as far as it takes to get mail.
async fn serve<S>(mut stream: BufReader<S>, waiting: &Waiting) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    stream.write_all(b"220 keywright bench\r\n").await?;
    let (mut line, mut to) = (Vec::new(), Vec::new());
    while read_line(&mut stream, &mut line).await? {
        let text = String::from_utf8_lossy(&line).into_owned();
        let verb = text.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply: &[u8] = match verb.as_str() {
            // Some servers have a user name and a password set and insist on giving them.
            "EHLO" => b"250-keywright bench\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
            "AUTH" => {
                if let Some(first) = login(&text) {
                    stream.write_all(first).await?;
                    read_line(&mut stream, &mut line).await?;
                    if first == LOGIN_USER {
                        stream.write_all(LOGIN_PASSWORD).await?;
                        read_line(&mut stream, &mut line).await?;
                    }
                }
                b"235 welcome\r\n"
            }
            "RCPT" => {
                to.extend(address(&text));
                b"250 OK\r\n"
            }
            "RSET" => {
                to.clear();
                b"250 OK\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let found = read_mail(&mut stream, &mut line).await?;
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                for address in to.drain(..) {
                    if let (Some(sender), Some(found)) = (waiting.remove(&address), &found) {
                        // Whoever has given up waiting needs none.
                        let _ = sender.send(found.clone());
                    }
                }
                drop(waiting);
                b"250 OK\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return stream.shutdown().await;
            }
            _ => b"250 OK\r\n",
        };
        stream.write_all(reply).await?;
    }
    Ok(())
}

/// The first question of an `AUTH` that does not bring its answer along.
fn login(command: &str) -> Option<&'static [u8]> {
    let mut words = command.split_whitespace().skip(1);
    let is_login = words.next().is_some_and(|method| method.eq_ignore_ascii_case("login"));
    match (is_login, words.next()) {
        (true, None) => Some(LOGIN_USER),
        (true, Some(_)) => Some(LOGIN_PASSWORD),
        (false, None) => Some(b"334 \r\n"),
        (false, Some(_)) => None,
    }
}

const LOGIN_USER: &[u8] = b"334 VXNlcm5hbWU6\r\n";
const LOGIN_PASSWORD: &[u8] = b"334 UGFzc3dvcmQ6\r\n";

/// The address of `RCPT TO:<…>`.
fn address(command: &str) -> Option<String> {
    let (_, rest) = command.split_once('<')?;
    Some(rest.split_once('>')?.0.to_ascii_lowercase())
}

/// Reads a mail to its end; returns the link that its head names.
async fn read_mail<S>(
    stream: &mut BufReader<S>,
    line: &mut Vec<u8>,
) -> std::io::Result<Option<String>>
where
    S: AsyncRead + Unpin + Send,
{
    let (mut found, mut is_head, mut is_link) = (None::<String>, true, false);
    while read_line(stream, line).await? {
        if line == b"." {
            break;
        }
        is_head &= !line.is_empty();
        if !is_head {
            continue;
        }
        let text = String::from_utf8_lossy(line);
        if text.starts_with([' ', '\t']) {
            // A long header goes on (RFC 5322, 2.2.3); a link has no spaces.
            if let Some(found) = found.as_mut().filter(|_| is_link) {
                found.push_str(text.trim());
            }
            continue;
        }
        let header = text.split_once(':');
        is_link = header.is_some_and(|(name, _)| name.eq_ignore_ascii_case(LINK_HEADER));
        if let Some((_, value)) = header.filter(|_| is_link) {
            found = Some(value.trim().to_owned());
        }
    }
    Ok(found)
}

/// Reads a line without its end; says whether there was one.
async fn read_line<S>(stream: &mut BufReader<S>, line: &mut Vec<u8>) -> std::io::Result<bool>
where
    S: AsyncRead + Unpin + Send,
{
    line.clear();
    loop {
        let part = stream.fill_buf().await?;
        if part.is_empty() {
            return Ok(false);
        }
        let end = part.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(part.len(), |end| end + 1);
        line.extend_from_slice(&part[..taken]);
        stream.consume(taken);
        if end.is_some() {
            while line.last().is_some_and(|byte| b"\r\n".contains(byte)) {
                line.pop();
            }
            return Ok(true);
        }
        if line.len() > MAX_LINE {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpStream;

    async fn talk(sink: &MailSink, text: &str) -> String {
        let mut stream = TcpStream::connect(sink.address()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    }

    #[tokio::test]
    async fn the_link_of_a_mail_reaches_who_waits_for_it() {
        let sink = MailSink::start(0).await.unwrap();
        let link = sink.next_link("Ann@example.com");
        let said = talk(
            &sink,
            "EHLO me\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<x@y.z>\r\nRCPT TO:<ann@example.com>\r\n\
             DATA\r\nSubject: x\r\nX-Link: http://a.test/verify?ticket=\r\n 1&type=x\r\nTo: b\r\n\
             \r\nX-Link: not this\r\n.\r\nQUIT\r\n",
        )
        .await;
        assert!(said.ends_with("221 bye\r\n"), "{said}");
        assert_eq!(link.await.unwrap(), "http://a.test/verify?ticket=1&type=x");
    }

    #[tokio::test]
    async fn every_way_to_sign_in_is_welcome() {
        let sink = MailSink::start(0).await.unwrap();
        for auth in ["AUTH LOGIN\r\nYQ==\r\nYg==", "AUTH LOGIN YQ==\r\nYg==", "AUTH PLAIN\r\nAA=="]
        {
            let said = talk(&sink, &format!("EHLO me\r\n{auth}\r\nQUIT\r\n")).await;
            assert!(said.contains("235 welcome\r\n221 bye"), "{auth}: {said}");
        }
    }
}
