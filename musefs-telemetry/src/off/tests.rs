use super::dynamic::{DynCounter, DynGauge, DynHistogram, DynOp, OpSite};
use super::events::{Events, Subscription};
use super::logging::{Provider, Providers, ProvidersBuilder};
use super::metrics::{
    Counter, Counters, Gauge, InFlight, MinMaxSumCount, SampledTimer, UpDownCounter,
};
use super::scope::{Ctx, Failure, Ops, Scope, Tier};
use super::snapshot::Snapshot;
use super::stats::Stats;
use crate::{Cursor, Engine, Histogram};

#[test]
fn every_type_is_empty() {
    let sizes = [
        size_of::<(Engine, Counter, Counters, Gauge, UpDownCounter, InFlight)>(),
        size_of::<(Histogram, MinMaxSumCount, SampledTimer, Snapshot, Cursor)>(),
        size_of::<(DynCounter, DynGauge, DynHistogram, DynOp, OpSite)>(),
        size_of::<(
            Ops<Failure>,
            Scope<Failure, Failure, &Ops<Failure>>,
            Tier<'_>,
            Ctx,
        )>(),
        size_of::<Stats<Failure, (), ()>>(),
        size_of::<(Events, Subscription)>(),
        size_of::<(Provider, Providers, ProvidersBuilder)>(),
    ];
    assert_eq!(sizes, [0; 7]);
}

#[test]
fn events_go_nowhere_and_nothing_in_them_is_looked_at() {
    let looked = std::cell::Cell::new(false);
    let look = || {
        looked.set(true);
        7_u64
    };
    let log = super::logging::engine();
    crate::event_error!(log, "store.read.failed", message = "gone", rows = look());
    assert!(!looked.get());
}
