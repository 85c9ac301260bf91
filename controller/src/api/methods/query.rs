//! Questions to the ledger: usage, events, the audit.

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::reply::{Events, Usages, Watching};
use bb_proto::request::{AuditList, EventsList, UsageQuery};

use super::super::Api;
use super::{closed, store_error};
use crate::store::StoreError;
use crate::store::reader::{EventFilter, Reader};

impl Api {
    pub(super) async fn usage(&self, params: UsageQuery) -> Result<Usages, RpcError> {
        self.read(move |reader| reader.usage(&params)).await
    }

    pub(super) async fn audit_list(&self, params: AuditList) -> Result<Events, RpcError> {
        let AuditList {
            before,
            bottle,
            pattern,
            limit,
        } = params;
        let filter = EventFilter {
            before,
            bottle,
            pattern,
            limit,
            audit: true,
        };
        self.read(move |reader| reader.events(&filter)).await
    }

    pub(super) async fn events_list(&self, params: EventsList) -> Result<Events, RpcError> {
        let EventsList {
            before,
            bottle,
            pattern,
            limit,
        } = params;
        let filter = EventFilter {
            before,
            bottle,
            pattern,
            limit,
            audit: false,
        };
        self.read(move |reader| reader.events(&filter)).await
    }

    pub(in crate::api) async fn events_watch(&self) -> Result<Watching, RpcError> {
        let after = self
            .parts()
            .ledger
            .look(|book, _| book.newest_event())
            .await;
        Ok(Watching {
            after: after.map_err(closed)?,
        })
    }

    /// Asks the database where nobody else waits: a long answer holds up no call.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, RpcError> {
        let reader = self.parts().reader.clone();
        match tokio::task::spawn_blocking(move || read(&reader)).await {
            Ok(answer) => answer.map_err(|error| store_error(&error)),
            Err(error) => Err(RpcError::new(ErrorCode::Internal, error.to_string())),
        }
    }
}
