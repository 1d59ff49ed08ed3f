//! The engine's admin API, as an operator uses it.

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{
    Method, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use job_transport::{hyper::HyperTransport, transport::Transport};
use serde_json::{Value, json};

/// The admin API of an engine.
pub(crate) struct Admin {
    pub(crate) address: String,
    pub(crate) transport: HyperTransport,
}

/// An invocation of `JobWait/tick`.
#[derive(Clone, Debug)]
pub(crate) struct Tick {
    pub(crate) id: String,
    /// The key of the wait.
    pub(crate) key: String,
    /// The state of the invocation, such as `scheduled` or `running`.
    pub(crate) status: String,
}

impl Admin {
    /// Returns the rows of an SQL query.
    pub(crate) async fn query(&self, sql: &str) -> anyhow::Result<Vec<Value>> {
        let body = json!({ "query": sql }).to_string().into();
        let (status, text) = self.send(Method::POST, "query", body).await?;
        ensure!(status.is_success(), "{sql}: {status}: {text}");
        let mut reply: Value = serde_json::from_str(&text).context("the reply to a query")?;
        Ok(reply["rows"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Returns the ticks that have not ended.
    pub(crate) async fn ticks(&self) -> anyhow::Result<Vec<Tick>> {
        let sql = "select id, target_service_key, status from sys_invocation \
            where target_service_name = 'JobWait' and target_handler_name = 'tick' \
            and status <> 'completed'";
        let text = |row: &Value, name| row[name].as_str().unwrap_or_default().to_owned();
        let tick = |row: &Value| Tick {
            id: text(row, "id"),
            key: text(row, "target_service_key"),
            status: text(row, "status"),
        };
        Ok(self.query(sql).await?.iter().map(tick).collect())
    }

    /// Kills, cancels or purges an invocation, and returns the status of the reply.
    pub(crate) async fn end(&self, id: &str, how: &str) -> anyhow::Result<StatusCode> {
        let path = format!("invocations/{id}/{how}");
        Ok(self.send(Method::PATCH, &path, Bytes::new()).await?.0)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, String)> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.address))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json");
        let reply = self.transport.send(request.body(body)?).await?;
        Ok((reply.status(), String::from_utf8_lossy(reply.body()).into_owned()))
    }
}
