//! The socket as a stranger uses it: lines of text.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bb_proto::home::Home;
use bb_tests::harness::WAIT_LIMIT;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// A connection that knows of lines and JSON, and of nothing else.
pub(crate) struct Raw {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    id: u64,
}

impl Raw {
    pub(crate) async fn connect(home: &Home) -> Result<Self> {
        let stream = UnixStream::connect(home.socket()).await?;
        let (reader, writer) = stream.into_split();
        Ok(Self {
            reader: BufReader::new(reader),
            writer,
            id: 0,
        })
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let sent = self.writer.write_all(bytes.as_ref());
        Ok(tokio::time::timeout(WAIT_LIMIT, sent).await??)
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn end_sending(&mut self) -> Result<()> {
        Ok(self.writer.shutdown().await?)
    }

    /// Reads a line; `None` where the controller ended the connection.
    pub(crate) async fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line);
        let read = tokio::time::timeout(WAIT_LIMIT, read)
            .await
            .context("waiting for a line")?;
        match read {
            Ok(0) => Ok(None),
            Ok(_) if line.pop() == Some(b'\n') => Ok(Some(String::from_utf8(line)?)),
            Ok(_) => bail!("a torn line: {:?}", String::from_utf8_lossy(&line)),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a line of JSON.
    pub(crate) async fn json(&mut self) -> Result<Value> {
        let line = self.line().await?.context("the connection ended")?;
        serde_json::from_str(&line).with_context(|| line)
    }

    /// Returns whether no line comes within a while.
    pub(crate) async fn is_silent(&mut self, span: Duration) -> bool {
        tokio::time::timeout(span, self.reader.fill_buf())
            .await
            .is_err()
    }

    /// Sends a request and returns its whole answer.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Result<Value> {
        self.id += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params});
        self.send(format!("{request}\n")).await?;
        let answer = self.json().await?;
        assert_eq!(answer["id"], self.id, "{answer}");
        Ok(answer)
    }

    /// Sends a request and returns its result.
    pub(crate) async fn result(&mut self, method: &str, params: Value) -> Result<Value> {
        let answer = self.ask(method, params).await?;
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => bail!("{method}: {answer}"),
        }
    }

    /// Sends a request that is refused; returns the word and the sentence.
    pub(crate) async fn refused(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<(String, String)> {
        let answer = self.ask(method, params).await?;
        said(&answer).with_context(|| format!("{method}: {answer}"))
    }
}

/// Returns the word and the sentence of a refusal.
pub(crate) fn said(answer: &Value) -> Option<(String, String)> {
    let error = answer.get("error")?;
    let word = error.get("data")?.get("code")?.as_str()?;
    Some((word.to_owned(), error.get("message")?.as_str()?.to_owned()))
}
