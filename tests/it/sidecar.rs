//! A real mitmproxy with our addon between clients and a provider: it meters by itself, and holds
//! what passes to the budgets of a bottle.

mod charged;
mod ended;
mod mitmproxy;
mod refused;

use anyhow::Result;
use bb_proto::reply::CallRow;
use bb_proto::request::{BudgetSet, UsageBy, UsageQuery};
use bb_proto::units::Tokens;
use bb_tests::harness::{Answer, Bottle, Streamed, System, send, stream};
use bb_tests::provider::{Provider, Script};
use http::Method;

use mitmproxy::Mitmproxy;

const MESSAGES: &str = "/v1/messages";
/// A request that streams.
const ASKED: &str = r#"{"model":"claude-opus-4-8","max_tokens":1000,"stream":true,"messages":[{"role":"user","content":"say hi"}]}"#;
/// The same answered as one document.
const ASKED_WHOLE: &str = r#"{"model":"claude-opus-4-8","max_tokens":1000,"messages":[{"role":"user","content":"say hi"}]}"#;

/// What asks only how many tokens that is.
const COUNTED: &str =
    r#"{"model":"claude-opus-4-8","messages":[{"role":"user","content":"say hi"}]}"#;

/// A provider, a controller with a bottle, and a proxy that meters for it.
struct Scene {
    provider: Provider,
    system: System,
    web: Bottle,
    proxy: Mitmproxy,
}

impl Scene {
    /// Starts all of it, where mitmproxy is installed; says so where it is not.
    async fn set(script: Script) -> Result<Option<Self>> {
        Self::set_for(script, "claude").await
    }

    /// The same for a provider of this name.
    async fn set_for(script: Script, provider: &str) -> Result<Option<Self>> {
        let name = provider;
        let provider = Provider::start(script).await?;
        let system = System::start(&provider, "").await?;
        let web = system.bottle("web").await?;
        let proxy = Mitmproxy::start(system.home(), &provider, name, &[]).await?;
        Ok(proxy.map(|proxy| Self {
            provider,
            system,
            web,
            proxy,
        }))
    }

    async fn ask(&self, path: &str, body: &'static str) -> Result<Answer> {
        let headers = [("content-type", "application/json")];
        send(&self.proxy.address, Method::POST, path, &headers, body).await
    }

    async fn open(&self, body: &'static str) -> Result<Streamed> {
        let headers = [("content-type", "application/json")];
        stream(&self.proxy.address, Method::POST, MESSAGES, &headers, body).await
    }

    /// Gives the bottle a budget.
    async fn limit(&self, limit: u64) -> Result<()> {
        let set = BudgetSet {
            per_call: None,
            budget: "bottle:web/claude/total".parse()?,
            limit: Tokens(limit),
            cap: bb_proto::budget::Cap::Hard,
            ceiling: false,
            why: None,
            expect: None,
            request_id: None,
            dry_run: false,
        };
        self.system.call(set).await?;
        Ok(())
    }

    /// Returns what the ledger has, the oldest call first; as it is now.
    async fn charged_now(&self) -> Result<Vec<(CallRow, u64)>> {
        let query = UsageQuery {
            bottle: Some(self.web.name.clone()),
            by: UsageBy::Call,
            ..UsageQuery::default()
        };
        let rows = self.system.call(query).await?.rows.into_iter().rev();
        Ok(rows
            .filter_map(|row| row.call.map(|call| (call, row.sum.charge.0)))
            .collect())
    }

    /// The same once no call is in flight.
    async fn charged(&self) -> Result<Vec<(CallRow, u64)>> {
        self.system.settled().await?;
        self.charged_now().await
    }

    /// Ends mitmproxy; fails where the addon did.
    async fn end(self) -> Result<()> {
        self.proxy.end().await
    }
}
