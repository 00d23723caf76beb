//! The build without `stats`: the same names, and nothing behind them.
//!
//! Every type here is empty and every function does nothing, so that the compiler leaves no trace of a call. Declaring always
//! succeeds, reading finds no families. Descriptions stay, because they are constants that programs may use for texts of
//! their own.

/// An empty type with type parameters, that can be copied.
macro_rules! empty {
    ($(#[$doc:meta])* $name:ident $(<$($parameter:ident $(= $default:ty)?),+>)?) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name $(<$($parameter $(= $default)?),+> (
            pub(crate) std::marker::PhantomData<fn($($parameter),+)>
        ))?;

        impl $(<$($parameter),+>)? $name $(<$($parameter),+>)? {
            #[allow(dead_code, reason = "not every empty type is made by hand")]
            pub(crate) const fn empty() -> Self {
                empty!(@make $($($parameter),+)?)
            }
        }

        impl $(<$($parameter),+>)? Clone for $name $(<$($parameter),+>)? {
            #[inline]
            fn clone(&self) -> Self {
                Self::empty()
            }
        }
    };
    (@make) => { Self };
    (@make $($parameter:ident),+) => { Self(std::marker::PhantomData) };
}

/// Functions that do nothing and return a constant.
macro_rules! calls {
    ($($(#[$doc:meta])* fn $name:ident(&$this:ident $(, $argument:ident: $ty:ty)*) $(-> $result:ty = $value:expr)?;)*) => {
        $(
            $(#[$doc])*
            #[inline]
            #[allow(unused_variables, reason = "nothing is done")]
            pub fn $name(&$this $(, $argument: $ty)*) $(-> $result)? { $($value)? }
        )*
    };
}

pub mod events;
pub mod histograms;
pub mod logging;
pub mod metrics;
pub mod reading;
pub mod registry;
pub mod run_time;
pub mod scope;

pub use reading::{cursor, report, snapshot};
pub use run_time::{busiest, dynamic, stats};

#[cfg(test)]
mod tests;
