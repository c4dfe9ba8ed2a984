//! Mail that is kept instead of sent: one JSON file a message, for `keywright dev`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::domain::ids::MessageId;
use crate::domain::mail::OutboxMessage;
use crate::notify::html::escape_html;
use crate::notify::message::{one_line, x_headers};
use crate::notify::rendered::Rendered;

/// Most messages kept; the oldest go first.
const LIMIT: usize = 500;

/// Captured mail cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}", path.display())]
pub struct InboxError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// One captured message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    pub id: MessageId,
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    pub from: String,
    pub to: String,
    pub subject: String,
    /// The `X-` headers that the mail would have had.
    pub headers: Vec<(String, String)>,
    pub html: String,
    pub text: Option<String>,
}

impl Captured {
    /// The message as it would have been sent.
    pub fn new(message: &OutboxMessage, rendered: Rendered, from: &str) -> Self {
        Self {
            id: message.id,
            time: message.created_at,
            from: from.to_owned(),
            to: one_line(&message.recipient),
            subject: one_line(&rendered.subject),
            headers: x_headers(message)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            html: rendered.html,
            text: rendered.text,
        }
    }

    /// An SMS as it would have been sent.
    pub fn sms(to: &str, text: &str, time: OffsetDateTime) -> Self {
        Self {
            id: MessageId::random(),
            time,
            from: "SMS".to_owned(),
            to: one_line(to),
            subject: text.to_owned(),
            headers: Vec::new(),
            html: format!("<p>{}</p>", escape_html(text)),
            text: Some(text.to_owned()),
        }
    }

    /// The value of an `X-` header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// The folder of captured mail.
#[derive(Clone, Debug)]
pub struct Inbox {
    folder: PathBuf,
    limit: usize,
}

impl Inbox {
    /// Makes the folder, readable for its owner only: it will hold sign-in links.
    pub fn open(folder: &Path) -> Result<Self, InboxError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| InboxError { path: folder.to_owned(), source })?;
        Ok(Self { folder: folder.to_owned(), limit: LIMIT })
    }

    /// Keeps the message; a reader sees all of it or nothing.
    pub async fn keep(&self, message: Captured) -> Result<(), InboxError> {
        let inbox = self.clone();
        self.blocking(move || inbox.write(&message)).await
    }

    /// All messages, newest first.
    pub async fn list(&self) -> Result<Vec<Captured>, InboxError> {
        let inbox = self.clone();
        self.blocking(move || inbox.read(inbox.names()?)).await
    }

    /// One message.
    pub async fn find(&self, id: MessageId) -> Result<Option<Captured>, InboxError> {
        let inbox = self.clone();
        let found = self
            .blocking(move || {
                let end = format!("-{id}.json");
                inbox.read(inbox.names()?.into_iter().filter(|name| name.ends_with(&end)).collect())
            })
            .await?;
        Ok(found.into_iter().next())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, InboxError> {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(io::Error::other)
            .and_then(|result| result)
            .map_err(|source| InboxError { path: self.folder.clone(), source })
    }

    fn write(&self, message: &Captured) -> io::Result<()> {
        let stamp = message.time.unix_timestamp_nanos() / 1_000;
        let path = self.folder.join(format!("{stamp:020}-{}.json", message.id));
        let unfinished = path.with_extension("tmp");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(message)?)?;
        drop(file);
        fs::rename(&unfinished, &path)?;
        for old in self.names()?.into_iter().skip(self.limit) {
            match fs::remove_file(self.folder.join(old)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                // Another delivery was faster.
                _ => {}
            }
        }
        Ok(())
    }

    /// File names, newest first: they start with the time.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            if let Ok(name) = entry?.file_name().into_string()
                && name.rsplit('.').next() == Some("json")
            {
                names.push(name);
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    fn read(&self, names: Vec<String>) -> io::Result<Vec<Captured>> {
        let mut messages = Vec::with_capacity(names.len());
        for name in names {
            match fs::read(self.folder.join(&name)) {
                Ok(bytes) => match serde_json::from_slice(&bytes) {
                    Ok(message) => messages.push(message),
                    Err(error) => {
                        tracing::warn!(file = name, error = %error, "captured mail unreadable");
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(messages)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use time::Duration;

    use super::*;

    fn captured(minute: i64) -> Captured {
        Captured {
            id: MessageId::random(),
            time: OffsetDateTime::UNIX_EPOCH + Duration::minutes(minute),
            from: "a@localhost".to_owned(),
            to: "b@localhost".to_owned(),
            subject: format!("mail {minute}"),
            headers: vec![("X-Ticket".to_owned(), "t".to_owned())],
            html: "<p>".to_owned(),
            text: None,
        }
    }

    #[tokio::test]
    async fn captured_mail_is_listed_newest_first_private_and_bounded() {
        let folder = std::env::temp_dir().join(format!("keywright-inbox-{}", uuid::Uuid::new_v4()));
        let inbox = Inbox { limit: 3, ..Inbox::open(&folder).unwrap() };
        let messages: Vec<Captured> = [2, 5, 1, 4, 3].into_iter().map(captured).collect();
        for message in &messages {
            inbox.keep(message.clone()).await.unwrap();
        }
        let subjects: Vec<String> =
            inbox.list().await.unwrap().into_iter().map(|message| message.subject).collect();
        assert_eq!(subjects, ["mail 5", "mail 4", "mail 3"]);
        assert_eq!(inbox.find(messages[1].id).await.unwrap(), Some(messages[1].clone()));
        assert_eq!(inbox.find(messages[2].id).await.unwrap(), None);
        assert_eq!(messages[1].header("x-ticket"), Some("t"));
        for entry in fs::read_dir(&folder).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
