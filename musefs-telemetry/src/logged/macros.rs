//! Events by name.

/// Emits an event that something failed: `event_error!(provider, "part.part", key = value, …)`.
///
/// The name is a literal that the compiler checks: two or more parts with dots between, each of lower case letters, digits and
/// `_`, a letter first. A value is a number, a text or a `bool`; `%value` writes it as [`Display`](std::fmt::Display) does,
/// `?value` as [`Debug`] does. The field `message` is a sentence for people, which lines of the console have behind the name:
/// `message = "no disk"`, `message = %format_args!("no disk at {place}")`. Values are looked at only when the event goes
/// somewhere.
#[macro_export]
macro_rules! event_error {
    ($provider:expr, $name:literal $(, $($fields:tt)*)?) => {
        $crate::emit_event!($provider, Error, $name, [$($($fields)*)?])
    };
}

/// Emits an event that something may be wrong; see [`event_error!`].
#[macro_export]
macro_rules! event_warn {
    ($provider:expr, $name:literal $(, $($fields:tt)*)?) => {
        $crate::emit_event!($provider, Warn, $name, [$($($fields)*)?])
    };
}

/// Emits an event that is something to know; see [`event_error!`].
#[macro_export]
macro_rules! event_info {
    ($provider:expr, $name:literal $(, $($fields:tt)*)?) => {
        $crate::emit_event!($provider, Info, $name, [$($($fields)*)?])
    };
}

/// Emits an event for whoever looks for a fault; see [`event_error!`].
#[macro_export]
macro_rules! event_debug {
    ($provider:expr, $name:literal $(, $($fields:tt)*)?) => {
        $crate::emit_event!($provider, Debug, $name, [$($($fields)*)?])
    };
}

/// What the macros for each level have in common.
#[doc(hidden)]
#[macro_export]
macro_rules! emit_event {
    ($provider:expr, $level:ident, $name:literal, [$($fields:tt)*]) => {{
        const _: () = $crate::logging::assert_event_name($name);
        let provider = &$provider;
        if provider.enabled($crate::logging::Level::$level, $name) {
            $crate::emit_event!(@fields provider, $level, $name, [] $($fields)*);
        }
    }};
    (@fields $provider:ident, $level:ident, $name:literal, [$($done:tt)*] $key:ident = % $value:expr $(, $($rest:tt)*)?) => {
        $crate::emit_event!(@fields $provider, $level, $name,
            [$($done)* (stringify!($key), $crate::logging::Value::Display(&$value)),] $($($rest)*)?)
    };
    (@fields $provider:ident, $level:ident, $name:literal, [$($done:tt)*] $key:ident = ? $value:expr $(, $($rest:tt)*)?) => {
        $crate::emit_event!(@fields $provider, $level, $name,
            [$($done)* (stringify!($key), $crate::logging::Value::Debug(&$value)),] $($($rest)*)?)
    };
    (@fields $provider:ident, $level:ident, $name:literal, [$($done:tt)*] $key:ident = $value:expr $(, $($rest:tt)*)?) => {
        $crate::emit_event!(@fields $provider, $level, $name,
            [$($done)* (stringify!($key), $crate::logging::Value::from($value)),] $($($rest)*)?)
    };
    (@fields $provider:ident, $level:ident, $name:literal, [$($done:tt)*]) => {
        $provider.emit($crate::logging::Level::$level, $name, &[$($done)*])
    };
}
