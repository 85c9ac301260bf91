//! A request's body as it reads, and the changes that are made to it: in its text, and encoded again
//! as its client encoded it.

use std::borrow::Cow;

use bb_core::request::{Bound, Cap, RequestFacts, with_cap};
use bytes::Bytes;
use http::HeaderMap;

use super::Egress;
use super::counting::counted;
use super::encoded::{Undecoded, can_encode, decoded, encoded};
use super::route::Call;

/// A body that can be read and changed.
#[derive(Debug)]
pub(super) struct Editable {
    /// As it is sent.
    sent: Bytes,
    /// As it reads, where that is something else.
    text: Option<Bytes>,
}

impl Editable {
    pub(super) fn new(headers: &HeaderMap, sent: Bytes, bytes_max: u64) -> Result<Self, Undecoded> {
        let text = match decoded(headers, &sent, bytes_max)? {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(Bytes::from(text)),
        };
        Ok(Self { sent, text })
    }

    pub(super) fn text(&self) -> &[u8] {
        self.text.as_ref().unwrap_or(&self.sent)
    }

    /// Puts another text in place; `None`, and nothing changed, where it cannot be encoded again.
    pub(super) fn change(&mut self, headers: &HeaderMap, text: Vec<u8>) -> Option<()> {
        if self.text.is_none() {
            self.sent = Bytes::from(text);
            return Some(());
        }
        self.sent = Bytes::from(encoded(headers, text.clone())?);
        self.text = Some(Bytes::from(text));
        Some(())
    }

    pub(super) fn into_sent(self) -> Bytes {
        self.sent
    }
}

impl Call {
    /// Returns the most that a call can use, where its provider takes a cap and the body bounds it.
    pub(super) fn bound(&self, facts: &RequestFacts) -> Option<Bound> {
        facts.bound(self.wire).filter(|_| self.takes_cap())
    }

    fn takes_cap(&self) -> bool {
        let reasons_on_top = self
            .provider()
            .is_ok_and(|provider| provider.row.quirks.reasoning_on_top);
        bb_core::provider::takes_cap(&self.path) && !reasons_on_top
    }

    /// Returns the same of a request that can still be changed, its provider asked for the count
    /// of its input where the settings and the gate want that.
    pub(super) async fn bound_of(
        &self,
        egress: &Egress,
        head: &http::request::Parts,
        facts: &RequestFacts,
        body: &Editable,
    ) -> Option<Bound> {
        if !self.takes_cap() || !can_encode(&head.headers) {
            return None;
        }
        let asks = self.provider().is_ok_and(|it| it.count_tokens);
        if asks
            && self.is_admitted_exactly(egress).await
            && let Some(tokens) = counted(egress, self, head, body.text()).await
        {
            return facts.bound_counted(self.wire, tokens);
        }
        facts.bound(self.wire)
    }

    async fn is_admitted_exactly(&self, egress: &Egress) -> bool {
        let Ok(provider) = self.provider() else {
            return false;
        };
        let (bottle, provider) = (self.who.identity.bottle.clone(), provider.row.key.clone());
        let ledger = &egress.shared.ledger;
        let looked = ledger.look(move |book, _| book.admits_exactly(&bottle, &provider));
        looked.await.unwrap_or(false)
    }

    /// Returns a body that asks for no more output than so many tokens a choice.
    pub(super) fn capped(&self, text: &[u8], tokens: u64) -> Option<Vec<u8>> {
        let cap = Cap {
            tokens,
            is_completion: self.provider().ok()?.row.completion_cap,
        };
        with_cap(self.wire, text, cap)
    }
}
