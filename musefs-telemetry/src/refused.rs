//! What the compiler refuses, and what it says. Each block is a test that it does not compile; the first one shows that what is
//! around the fault does. A quote after a block is in the compiler's message, which another test reads from this file.
//!
//! ```
//! use musefs_telemetry::{AttributeEnum, Counter, Counters, attribute_set, metric_set};
//! #[derive(Clone, Copy, AttributeEnum)]
//! enum Shelf { Fruit, Bread }
//! #[attribute_set]
//! #[derive(Clone, Copy)]
//! struct Place { shelf: Shelf, under: Shelf }
//! #[metric_set(prefix = "shop")]
//! struct Shop {
//!     /// Weight that was sold.
//!     #[metric(unit = "bytes")]
//!     sold: Counters<Place>,
//!     /// Customers.
//!     customers: Counter,
//! }
//! ```
//!
//! A unit that is none:
//! ```compile_fail
//! # use musefs_telemetry::{Counter, metric_set};
//! #[metric_set(prefix = "shop")]
//! struct Shop {
//!     /// Weight that was sold.
//!     #[metric(unit = "ounces")]
//!     sold: Counter,
//! }
//! ```
//! > a unit is a base unit: `seconds`, `bytes` or `ratio`
//!
//! A name without its unit:
//! ```compile_fail,E0080
//! # use musefs_telemetry::{Counter, metric_set};
//! #[metric_set(prefix = "shop")]
//! struct Shop {
//!     /// Weight that was sold.
//!     #[metric(unit = "bytes", name = "shop_sold_total")]
//!     sold: Counter,
//! }
//! ```
//! > a name ends with its unit
//!
//! A name twice:
//! ```compile_fail,E0080
//! # use musefs_telemetry::{Counter, metric_set};
//! #[metric_set(prefix = "shop")]
//! struct Shop {
//!     /// Things.
//!     sold: Counter,
//!     /// Other things.
//!     #[metric(name = "shop_sold_total")]
//!     others: Counter,
//! }
//! ```
//! > two metrics of this set have the same name
//!
//! A name that is a sample of another:
//! ```compile_fail,E0080
//! # use musefs_telemetry::{Counter, Gauge, metric_set};
//! #[metric_set(prefix = "shop")]
//! struct Shop {
//!     /// Things.
//!     sold: Counter,
//!     /// Other things.
//!     sold_created: Gauge,
//! }
//! ```
//! > one could be taken for a sample of the other
//!
//! A label that the text formats need:
//! ```compile_fail,E0080
//! # use musefs_telemetry::AttributeEnum;
//! #[derive(Clone, Copy, AttributeEnum)]
//! #[attribute(name = "le")]
//! enum Shelf { Fruit }
//! ```
//! > neither `le` nor `quantile`
//!
//! A value twice:
//! ```compile_fail,E0080
//! # use musefs_telemetry::AttributeEnum;
//! #[derive(Clone, Copy, AttributeEnum)]
//! enum Shelf { Fruit, #[attribute(value = "fruit")] Bread }
//! ```
//! > a label occurs once, and each of its values once
//!
//! More series than a family may have:
//! ```compile_fail,E0080
//! # use musefs_telemetry::{AttributeEnum, attribute_set};
//! #[derive(Clone, Copy, AttributeEnum)]
//! enum Seven { A, B, C, D, E, F, G }
//! #[attribute_set]
//! #[derive(Clone, Copy)]
//! struct Many { one: Seven, two: Seven, three: Seven, four: Seven }
//! ```
//! > a family has at most 2,000 series
//!
//! A metric that does not say what it tells:
//! ```compile_fail,E0080
//! # use musefs_telemetry::{Counter, metric_set};
//! #[metric_set(prefix = "shop")]
//! struct Shop {
//!     sold: Counter,
//! }
//! ```
//! > a metric says what it tells: give it a doc comment
//!
//! A histogram without a range:
//! ```compile_fail,E0080
//! # use musefs_telemetry::{Histogram, metric_set};
//! #[metric_set(prefix = "shop")]
//! struct Shop {
//!     /// Weights.
//!     weight: Histogram,
//! }
//! ```
//! > a range that is not empty
//!
//! A name of an operation that is none:
//! ```compile_fail,E0080
//! let op = musefs_telemetry::register_op!("Bad Name");
//! ```
//! > a name is lower case letters, digits and `_`, a letter first
//!
//! A label twice in one family:
//! ```compile_fail,E0080
//! use musefs_telemetry::{Family, Label, describe::assert_set};
//! const SHELF: Label = Label { name: "shelf", values: &["fruit"] };
//! const _: () = assert_set(&[Family::gauge("stock", "Stock.").with_labels(&[SHELF, SHELF])]);
//! ```
//! > a label occurs once, and each of its values once
//!
//! A counter that is called like none:
//! ```compile_fail,E0080
//! # use musefs_telemetry::{Counter, metric_set};
//! #[metric_set(prefix = "shop")]
//! struct Shop {
//!     /// Things.
//!     #[metric(name = "shop_sold")]
//!     sold: Counter,
//! }
//! ```
//! > `_total` ends the name of every counter and of nothing else
//!
//! An event whose name is none:
//! ```compile_fail,E0080
//! # use musefs_telemetry::{event_error, logging::Providers};
//! let log = Providers::builder().build().unwrap().engine();
//! event_error!(log, "Refresh failed");
//! ```
//! > an event's name is two or more parts with dots between
//!
//! A queue for what telemetry says of itself:
//! ```compile_fail,E0308
//! # use musefs_telemetry::logging::{Mode, Providers};
//! let providers = Providers::builder().internal(Mode::ConsoleAsync);
//! ```
//! > expected `InternalMode`, found `Mode`
