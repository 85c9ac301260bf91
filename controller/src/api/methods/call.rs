//! Calls that a sidecar meters by itself: admitted, heard of, charged, taken back.

mod answers;

use bb_core::book::{Ask, Ended, Heard, Said, SidecarAsk, SidecarCall};
use bb_core::estimate::InputSize;
use bb_core::refusal::Reason;
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::ids::CallId;
use bb_proto::reply::{
    CallFlowing, CallReserved, CallResolved, CallSettled, CallVoided, Ending, RefusedFor,
};
use bb_proto::request::{CallFlowed, CallReserve, CallSettle, CallVoid};
use bb_proto::time::Millis;
use bb_proto::usage::Usage;

use super::super::Api;
use super::closed;
use super::stated::{check_bottle, countable, countable_usage};
use answers::{Answer, cut, not_admitted, plain, reserved, resolved, resolved_by};

impl Api {
    pub(super) async fn call_reserve(&self, params: CallReserve) -> Result<CallReserved, RpcError> {
        let input = input_of(&params)?;
        countable("output_max", params.output_max)?;
        let wire = self.wire_of(&params.provider, params.wire)?;
        let call = params.call;
        let _held = self.shared.in_hand.hold(call).await;
        let ledger = &self.parts().ledger;
        let name = params.bottle.clone();
        let looked = ledger.look(move |book, _| {
            check_bottle(book, &name)?;
            let bottle = book.bottles().get(&name);
            Ok((book.sidecar_call(call), bottle.map(|bottle| bottle.run)))
        });
        let (known, run) = looked.await.map_err(closed)??;
        match &known {
            SidecarCall::Open(admitted) => return Ok(reserved(call, Answer::Admitted(admitted))),
            SidecarCall::Resolved(how) => {
                return Ok(reserved(call, Answer::Resolved(resolved(how))));
            }
            SidecarCall::Foreign => return Err(in_use(call)),
            SidecarCall::Unknown => {}
        }
        if let Some(entry) = self.resolved_before(&known, call).await? {
            return Ok(reserved(call, Answer::Resolved(resolved_by(&entry))));
        }
        let bottle = params.bottle;
        let ask = Ask {
            call,
            bottle: bottle.clone(),
            run: run.ok_or_else(|| unknown(call))?,
            provider: params.provider,
            wire,
            model: params.model.unwrap_or_default(),
            input,
            output_max: params.output_max,
            choices: params.choices.unwrap_or(1),
            background: false,
            // A budget with the gate `exact` caps requests, and this one is not ours to change.
            bound: None,
            sidecar: Some(SidecarAsk {
                wait_max: params.wait_ms.map(Millis),
            }),
        };
        Ok(match ledger.reserve_for_sidecar(ask).await {
            Ok(admitted) => reserved(call, Answer::Admitted(&admitted)),
            Err(why) => reserved(call, Answer::Refused(not_admitted(&why, &bottle))),
        })
    }

    pub(super) async fn call_flowed(&self, params: CallFlowed) -> Result<CallFlowing, RpcError> {
        let said = said(params.usage, params.output_bytes)?;
        let call = params.call;
        let heard = self.parts().ledger.act(move |book, now| {
            let bottle = book.bottle_of_call(call).cloned();
            (book.sidecar_flowed(call, said, now), bottle)
        });
        let cut = match heard.await {
            Ok((Heard::Open(None), _)) => None,
            Ok((Heard::Open(Some(why)), bottle)) => Some(cut(why, bottle.as_ref())),
            Ok((Heard::Resolved { .. }, _)) => {
                let text = format!("the call {call} was resolved: nothing that flows is counted");
                return Err(RpcError::new(ErrorCode::WrongState, text).with_hint("end it"));
            }
            Ok((Heard::Foreign | Heard::Unknown, _)) => return Err(unknown(call)),
            // What is open while nothing can be charged is ended.
            Err(_) => Some(plain(Reason::LedgerClosed, RefusedFor::LedgerClosed)),
        };
        Ok(CallFlowing { cut })
    }

    pub(super) async fn call_settle(&self, params: CallSettle) -> Result<CallSettled, RpcError> {
        let ended = Ended {
            said: said(params.usage, params.output_bytes)?,
            estimated: params.estimated,
            ending: check_ending(params.ending)?,
            status: params.status,
        };
        let call = params.call;
        let heard = self
            .parts()
            .ledger
            .act(move |book, now| book.sidecar_settle(call, ended, now))
            .await
            .map_err(closed)?;
        let (how, already) = self.how_resolved(heard, call).await?;
        if how.ending == Ending::Voided {
            let text = format!("the call {call} was taken back");
            return Err(RpcError::new(ErrorCode::WrongState, text)
                .with_hint("bb-ctl budget charge charges what it used all the same"));
        }
        Ok(CallSettled {
            call,
            charge: how.charge,
            overrun: how.overrun,
            estimated: how.estimated,
            ending: how.ending,
            already,
        })
    }

    pub(super) async fn call_void(&self, params: CallVoid) -> Result<CallVoided, RpcError> {
        let CallVoid { call, status } = params;
        let heard = self
            .parts()
            .ledger
            .act(move |book, now| book.sidecar_void(call, status, now))
            .await
            .map_err(closed)?;
        let (how, already) = self.how_resolved(heard, call).await?;
        if how.ending != Ending::Voided {
            let text = format!("the call {call} was charged {}", how.charge);
            return Err(RpcError::new(ErrorCode::WrongState, text)
                .with_hint("bb-ctl usage --by call shows how"));
        }
        Ok(CallVoided { call, already })
    }

    /// Returns how a call was resolved, by now or before, and whether it was before.
    async fn how_resolved(
        &self,
        heard: Heard,
        call: CallId,
    ) -> Result<(CallResolved, bool), RpcError> {
        match heard {
            Heard::Resolved { how, already } => Ok((resolved(&how), already)),
            Heard::Unknown => {
                let before = self.resolved_before(&SidecarCall::Unknown, call).await?;
                let before = before.ok_or_else(|| unknown(call))?;
                Ok((resolved_by(&before), true))
            }
            Heard::Foreign | Heard::Open(_) => Err(unknown(call)),
        }
    }
}

fn unknown(call: CallId) -> RpcError {
    let text = format!("no call of a sidecar has the id {call}");
    RpcError::new(ErrorCode::NotFound, text).with_hint("call.reserve comes first")
}

fn in_use(call: CallId) -> RpcError {
    let text = format!("the id {call} is that of a call of the proxy");
    RpcError::new(ErrorCode::RequestIdReused, text).with_hint("make a new id for every call")
}

/// Reads how large a call's input is, which is said in one of two ways.
fn input_of(params: &CallReserve) -> Result<InputSize, RpcError> {
    countable("input_bytes", params.input_bytes)?;
    countable("input_tokens", params.input_tokens)?;
    match (params.input_bytes, params.input_tokens) {
        (Some(bytes), None) => Ok(InputSize::text(bytes)),
        (None, Some(tokens)) => Ok(InputSize {
            context_tokens: tokens,
            elsewhere: true,
            ..InputSize::default()
        }),
        _ => Err(RpcError::new(
            ErrorCode::InvalidParams,
            "the input is said by `input_bytes` or by `input_tokens`, one of the two",
        )
        .with_hint("input_bytes is the length of the request's body")),
    }
}

fn said(usage: Option<Usage>, output_bytes: Option<u64>) -> Result<Said, RpcError> {
    countable_usage(usage.as_ref())?;
    countable("output_bytes", output_bytes)?;
    Ok(Said {
        usage,
        output_bytes,
    })
}

/// Fails where a sidecar cannot know that a call ended so.
fn check_ending(ending: Option<Ending>) -> Result<Option<Ending>, RpcError> {
    match ending {
        None
        | Some(
            Ending::Complete
            | Ending::ProviderError
            | Ending::ClientGone
            | Ending::UpstreamGone
            | Ending::Cut,
        ) => Ok(ending),
        Some(_) => Err(
            RpcError::new(ErrorCode::InvalidParams, "a sidecar's call does not end so")
                .with_hint("complete, provider_error, client_gone, upstream_gone or cut"),
        ),
    }
}
