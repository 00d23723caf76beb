//! A shop that is measured: a declared set, operations with scopes, and one reader's deltas.
//!
//! `cargo run -p musefs-telemetry --example shop`

use musefs_telemetry::encode::prometheus;
use musefs_telemetry::scope::Completion;
use musefs_telemetry::{
    AttributeEnum, Buckets, Counters, Engine, MetricSet, Ops, Outcome, Temporality, UpDownCounter,
    metric_set, stats,
};

#[derive(Clone, Copy, AttributeEnum)]
enum Shelf {
    Fruit,
    Bread,
}

#[derive(Clone, Copy, AttributeEnum)]
#[attribute(name = "op")]
enum Operation {
    Sell,
}

#[metric_set(prefix = "shop")]
struct Shop {
    /// Things that were sold, by shelf.
    sold: Counters<Shelf>,
    /// Customers that are inside.
    customers: UpDownCounter,
}

fn main() -> Result<(), musefs_telemetry::DescribeError> {
    let engine = Engine::builder().attribute("town", "Bremen").build()?;
    let shop = Shop::declare(&engine)?;
    let ops = Ops::<Operation>::declare(&engine, "shop", Buckets::powers_of_two(1 << 10, 1 << 30))?;
    let mut cursor = engine.cursor(Temporality::Delta).sparse();

    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let _inside = shop.customers.in_flight();
                let mut sale = ops.scope(Operation::Sell);
                sale.tier("counter").finish(Outcome::Hit);
                shop.sold.add(Shelf::Bread, 2);
                shop.sold.increment(Shelf::Fruit);
                sale.finish(Completion::Ok);
            });
        }
    });

    let batch = cursor.batch();
    let mut text = String::new();
    stats::dump_text(&mut text, batch.snapshot());
    batch.commit();
    text.push('\n');
    prometheus::Writer::new(&mut text, engine.attributes()).snapshot(&engine.snapshot());
    print!("{text}");
    Ok(())
}
