//! What the compiler refuses. Each block is a test that it does not compile; the first one shows that what is around the fault
//! does.
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
//!
//! A label that the text formats need:
//! ```compile_fail,E0080
//! # use musefs_telemetry::AttributeEnum;
//! #[derive(Clone, Copy, AttributeEnum)]
//! #[attribute(name = "le")]
//! enum Shelf { Fruit }
//! ```
//!
//! A value twice:
//! ```compile_fail,E0080
//! # use musefs_telemetry::AttributeEnum;
//! #[derive(Clone, Copy, AttributeEnum)]
//! enum Shelf { Fruit, #[attribute(value = "fruit")] Bread }
//! ```
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
//!
//! A metric that does not say what it tells:
//! ```compile_fail,E0080
//! # use musefs_telemetry::{Counter, metric_set};
//! #[metric_set(prefix = "shop")]
//! struct Shop {
//!     sold: Counter,
//! }
//! ```
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
//!
//! A name of an operation that is none:
//! ```compile_fail,E0080
//! let op = musefs_telemetry::register_op!("Bad Name");
//! ```
