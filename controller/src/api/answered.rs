//! Answers that were given to a `request_id`: the same id twice gets the first answer.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use bb_proto::error::{ErrorCode, RpcError};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

/// How many answers are remembered.
const ANSWERS_MAX: usize = 1_024;

type Answer = Result<Box<RawValue>, RpcError>;

#[derive(Debug, Clone)]
struct Given {
    asked: u64,
    answer: Arc<OnceCell<Answer>>,
}

#[derive(Debug, Default)]
struct Inside {
    of: HashMap<String, Given>,
    order: VecDeque<String>,
}

/// The answers given last.
#[derive(Debug, Default)]
pub(super) struct Answered {
    inside: Mutex<Inside>,
}

impl Answered {
    /// Gives the answer that `id` got before, or makes it.
    ///
    /// Fails with `request_id_reused` where the id came with another request.
    pub(super) async fn once(
        &self,
        id: Option<&str>,
        asked: &impl Hash,
        answer: impl Future<Output = Answer>,
    ) -> Answer {
        let Some(id) = id else { return answer.await };
        let mut hasher = DefaultHasher::new();
        asked.hash(&mut hasher);
        let asked = hasher.finish();
        let given = self.given(id, asked);
        if given.asked != asked {
            return Err(RpcError::new(
                ErrorCode::RequestIdReused,
                format!("the request id {id:?} came before with another request"),
            )
            .with_hint("make a new id for every request"));
        }
        given.answer.get_or_init(|| answer).await.clone()
    }

    fn given(&self, id: &str, asked: u64) -> Given {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(given) = inside.of.get(id) {
            return given.clone();
        }
        let given = Given {
            asked,
            answer: Arc::new(OnceCell::new()),
        };
        inside.of.insert(id.to_owned(), given.clone());
        inside.order.push_back(id.to_owned());
        if inside.order.len() > ANSWERS_MAX
            && let Some(oldest) = inside.order.pop_front()
        {
            inside.of.remove(&oldest);
        }
        given
    }
}
