//! A population that outlives a run: its newest tokens in a file.

use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::seed::Seed;

/// The sessions of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPopulation {
    pub url: String,
    /// The rows it was seeded as; absent if it was made over HTTP.
    pub seed: Option<Seed>,
    pub with_profile: usize,
    pub tokens: Vec<Uuid>,
}

/// The first line; the tokens follow, 16 bytes each.
#[derive(Serialize, Deserialize)]
struct Head {
    /// Version of this format.
    keywright_bench_population: u32,
    servers: Vec<HeadOfServer>,
}

#[derive(Serialize, Deserialize)]
struct HeadOfServer {
    url: String,
    seed: Option<Seed>,
    with_profile: usize,
    sessions: usize,
}

const VERSION: u32 = 1;
/// Longest first line that is read.
const MAX_HEAD: u64 = 65_536;

/// Writes the file anew; only its owner may read it, as it holds sessions.
pub fn write(path: &Path, kept: &[KeptPopulation]) -> anyhow::Result<()> {
    let servers = kept.iter().map(|server| HeadOfServer {
        url: server.url.clone(),
        seed: server.seed,
        with_profile: server.with_profile,
        sessions: server.tokens.len(),
    });
    let head = Head { keywright_bench_population: VERSION, servers: servers.collect() };
    let written = || {
        // A run that is ended in the middle leaves the former file.
        let new = path.with_added_extension("new");
        let mut out = BufWriter::new(private_file(&new)?);
        serde_json::to_writer(&mut out, &head)?;
        out.write_all(b"\n")?;
        for server in kept {
            for token in &server.tokens {
                out.write_all(token.as_bytes())?;
            }
        }
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(new, path)?;
        anyhow::Ok(())
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

/// What was kept; `None` if there is no such file.
pub fn read(path: &Path) -> anyhow::Result<Option<Vec<KeptPopulation>>> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let parsed = || {
        let length = file.metadata()?.len();
        let mut input = BufReader::new(file);
        let mut line = Vec::new();
        input.by_ref().take(MAX_HEAD).read_until(b'\n', &mut line)?;
        let head: Head = serde_json::from_slice(&line)?;
        ensure!(head.keywright_bench_population == VERSION, "it is of another version");
        let sessions: u64 = head.servers.iter().map(|server| server.sessions as u64).sum();
        ensure!(length == line.len() as u64 + sessions * 16, "it has another length than it says");
        let mut kept = Vec::new();
        for server in head.servers {
            let HeadOfServer { url, seed, with_profile, sessions } = server;
            let mut tokens = Vec::with_capacity(sessions);
            for _ in 0..sessions {
                let mut token = [0; 16];
                input.read_exact(&mut token)?;
                tokens.push(Uuid::from_bytes(token));
            }
            kept.push(KeptPopulation { url, seed, with_profile, tokens });
        }
        anyhow::Ok(kept)
    };
    parsed().map(Some).with_context(|| format!("{} holds no population", path.display()))
}

fn private_file(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_anything_else_is_refused() {
        let path = std::env::temp_dir().join(format!("kw-population-{}", Uuid::new_v4()));
        assert!(read(&path).unwrap().is_none());
        let kept = |url: &str, count: u128| KeptPopulation {
            url: url.to_owned(),
            seed: None,
            with_profile: 1,
            tokens: (0..count).map(Uuid::from_u128).collect(),
        };
        let both = [kept("http://a", 3), kept("http://b", 10)];
        write(&path, &both).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), both);
        let mut bytes = fs::read(&path).unwrap();
        bytes.pop();
        fs::write(&path, &bytes).unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("another length"));
        fs::write(&path, "text").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("holds no population"));
        fs::remove_file(&path).unwrap();
    }
}
