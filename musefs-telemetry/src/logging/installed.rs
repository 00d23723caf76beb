//! The providers of the process: set once, because it has one standard error, and silent until then.

use std::sync::{LazyLock, OnceLock};

use super::{Context, Provider, Providers};

/// By the number of the context.
type All = [Provider; 4];

static INSTALLED: OnceLock<All> = OnceLock::new();
static SILENT: LazyLock<All> = LazyLock::new(|| {
    let silent = Providers::builder().build();
    all(&silent.expect("providers without a queue need no thread"))
});

fn all(providers: &Providers) -> All {
    [
        providers.engine(),
        providers.global(),
        providers.admin(),
        providers.internal(),
    ]
}

impl Providers {
    /// Makes these the providers of the process, for good. `false`, and nothing else, when it has some already.
    pub fn install(&self) -> bool {
        INSTALLED.set(all(self)).is_ok()
    }
}

fn of(context: Context) -> &'static Provider {
    let installed = INSTALLED.get().unwrap_or_else(|| &SILENT);
    &installed[context as usize]
}

/// The process's provider for events of an engine.
pub fn engine() -> &'static Provider {
    of(Context::Engine)
}

/// The process's provider for events of the process as a whole.
pub fn global() -> &'static Provider {
    of(Context::Global)
}

/// The process's provider for events of its administration.
pub fn admin() -> &'static Provider {
    of(Context::Admin)
}

/// The process's provider for events of the telemetry itself.
pub fn internal() -> &'static Provider {
    of(Context::Internal)
}
