//! Bottles: looked at, cut off, restored, stopped, removed.

use std::collections::HashMap;
use std::time::Instant;

use bb_core::book::{Acted as Did, Book, Order};
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::ids::BottleName;
use bb_proto::reply::{Acted, BottleDetail, Bottles, Target};
use bb_proto::request::{
    BottleCutoff, BottleEnded, BottleRemove, BottleRestore, BottleShow, BottleStop, Expect,
};
use bb_proto::time::Timestamp;

use super::super::Api;
use super::super::view::{enforced, with_newest_raises};
use super::closed;

/// An order to one bottle.
type Act = fn(&mut Book, &BottleName, Option<&Expect>, &Order, Timestamp) -> Result<Did, RpcError>;

/// What every order to bottles is made of.
struct Acts {
    names: Vec<BottleName>,
    expect: Option<Expect>,
    order: Order,
}

impl Api {
    pub(super) async fn bottle_list(&self) -> Result<Bottles, RpcError> {
        let looked = self
            .parts()
            .ledger
            .look(|book, now| (book.revision(), book.bottle_views(now)))
            .await;
        let (revision, bottles) = looked.map_err(closed)?;
        let providers = self.parts().live.providers();
        let bottles = bottles
            .into_iter()
            .map(|bottle| enforced(bottle, &providers))
            .collect();
        Ok(Bottles { revision, bottles })
    }

    pub(super) async fn bottle_show(&self, params: BottleShow) -> Result<BottleDetail, RpcError> {
        let detail = self
            .parts()
            .ledger
            .look(move |book, now| detail(book, &params.name, now))
            .await
            .map_err(closed)??;
        let providers = self.parts().live.providers();
        Ok(BottleDetail {
            bottle: enforced(detail.bottle, &providers),
            ..detail
        })
    }

    pub(super) async fn cutoff(&self, params: BottleCutoff, uid: u32) -> Result<Acted, RpcError> {
        let order = Order {
            uid,
            why: params.why,
            dry_run: params.dry_run,
        };
        let acts = Acts {
            names: params.names,
            expect: params.expect,
            order,
        };
        self.act_on(acts, Book::cutoff).await
    }

    pub(super) async fn restore(&self, params: BottleRestore, uid: u32) -> Result<Acted, RpcError> {
        let order = Order {
            uid,
            why: params.why,
            dry_run: params.dry_run,
        };
        let acts = Acts {
            names: params.names,
            expect: params.expect,
            order,
        };
        self.act_on(acts, Book::restore_egress).await
    }

    pub(super) async fn remove(&self, params: BottleRemove, uid: u32) -> Result<Acted, RpcError> {
        let order = Order {
            uid,
            why: params.why,
            dry_run: params.dry_run,
        };
        let acts = Acts {
            names: params.names,
            expect: params.expect,
            order,
        };
        self.act_on(acts, Book::remove).await
    }

    pub(super) async fn stop_bottles(
        &self,
        params: BottleStop,
        uid: u32,
    ) -> Result<Acted, RpcError> {
        let dry_run = params.dry_run;
        let order = Order {
            uid,
            why: params.why,
            dry_run,
        };
        let acts = Acts {
            names: params.names,
            expect: params.expect,
            order,
        };
        let mut acted = self.act_on(acts, Book::order_stop).await?;
        if dry_run {
            return Ok(acted);
        }
        let changed = acted.targets.iter().filter(|target| target.changed);
        let stopping: Vec<_> = changed
            .map(|target| {
                let (supervisor, name) = (self.parts().supervisor.clone(), target.name.clone());
                self.parts().tracker.spawn(async move {
                    let started = Instant::now();
                    supervisor.stop(&name).await;
                    (name, micros(started))
                })
            })
            .collect();
        let mut took = HashMap::new();
        for stopped in stopping {
            took.extend(stopped.await);
        }
        for target in &mut acted.targets {
            let stopped_us = took.get(&target.name).copied().unwrap_or(0);
            target.took_us = target.took_us.saturating_add(stopped_us);
            let name = target.name.clone();
            let seen = self
                .parts()
                .ledger
                .look(move |book, now| book.bottle_view(&name, now))
                .await;
            target.observed = seen.map_err(closed)?.state;
        }
        Ok(acted)
    }

    pub(super) async fn ended(&self, params: BottleEnded) -> Result<Acted, RpcError> {
        let BottleEnded {
            name,
            run,
            exit_code,
        } = params;
        let of = name.clone();
        let did = self
            .parts()
            .ledger
            .act(move |book, now| book.ended(&of, run, Some(exit_code), now))
            .await
            .map_err(closed)??;
        Ok(Acted {
            dry_run: false,
            targets: vec![target(name, did, 0)],
        })
    }

    /// Carries out an order on every bottle named; the first that cannot be stops the rest, and
    /// nothing is done where it is the first.
    async fn act_on(&self, acts: Acts, act: Act) -> Result<Acted, RpcError> {
        if acts.names.is_empty() {
            return Err(RpcError::new(
                ErrorCode::InvalidParams,
                "no bottle is named",
            ));
        }
        let dry_run = acts.order.dry_run;
        let targets = self
            .parts()
            .ledger
            .act(move |book, now| {
                let rehearsal = Order {
                    dry_run: true,
                    ..acts.order.clone()
                };
                for name in &acts.names {
                    act(book, name, acts.expect.as_ref(), &rehearsal, now)?;
                }
                let mut targets = Vec::new();
                for name in acts.names {
                    let started = Instant::now();
                    let did = act(book, &name, acts.expect.as_ref(), &acts.order, now)?;
                    targets.push(target(name, did, micros(started)));
                }
                Ok(targets)
            })
            .await
            .map_err(closed)?;
        targets.map(|targets| Acted { dry_run, targets })
    }
}

fn micros(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn target(name: BottleName, did: Did, took_us: u64) -> Target {
    Target {
        name,
        run: Some(did.run),
        changed: did.changed,
        streams_ended: did.streams_ended,
        took_us,
        observed: did.observed,
        note: did.note,
    }
}

pub(super) fn detail(
    book: &Book,
    name: &BottleName,
    now: Timestamp,
) -> Result<BottleDetail, RpcError> {
    let is_known = book.bottles().get(name).is_some() || book.bottles().declared().contains(name);
    if !is_known {
        return Err(RpcError::new(
            ErrorCode::NotFound,
            format!("there is no bottle named {name}"),
        )
        .with_hint("bb-ctl list shows all bottles"));
    }
    let bottle = book.bottle_view(name, now);
    let budgets = bottle
        .path
        .iter()
        .filter_map(|on| book.budget_view_of(&on.budget, now))
        .map(with_newest_raises);
    Ok(BottleDetail {
        revision: book.revision(),
        budgets: budgets.collect(),
        children: book.bottles().children(name),
        bottle,
    })
}
