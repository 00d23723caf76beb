//! Texts of a moment for whoever must not wait for them.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::SystemTime;

use musefs_telemetry::encode::openmetrics;

use super::{MetricsFiles, NodeId, Snapshot};
use crate::metrics::Transport;
use crate::metrics::http::HttpMetrics;

/// Which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The one of this name in the metrics directory.
    Named(&'static str),
    /// `OpenMetrics`, each sample with the labels that name the mount, as those of `metrics.prom` have them.
    OpenMetrics,
}

/// A text, and its moment.
#[derive(Debug)]
pub struct Given {
    /// `None` when there is no such text at that moment.
    pub text: Option<Arc<[u8]>>,
    /// Wall clock time of the rendering.
    pub time: SystemTime,
}

impl MetricsFiles {
    /// What counts requests over HTTP.
    pub(crate) fn http_counts(&self) -> HttpMetrics {
        self.dispatch.metrics().http.clone()
    }

    /// Has `done` told what `asked` is now, on the lane; whether the lane took it. `done` must not wait.
    pub fn hand_over(
        self: &Arc<Self>,
        asked: Asked,
        transport: Transport,
        done: impl FnOnce(Given) + Send + 'static,
    ) -> bool {
        let files = Arc::clone(self);
        let job = move || {
            let snapshot = files.fresh();
            let text = match asked {
                Asked::OpenMetrics => Some(files.open_metrics(&snapshot)),
                Asked::Named(name) => files
                    .child(NodeId::ROOT, OsStr::new(name))
                    .and_then(|node| files.text(node, &snapshot)),
            };
            if text.is_some() {
                files
                    .dispatch
                    .metrics()
                    .counters
                    .scrapes
                    .increment(transport);
            }
            done(Given {
                text,
                time: snapshot.time,
            });
        };
        self.dispatch.lane().submit(Box::new(job)).is_ok()
    }

    /// Rendered when somebody asks for the first time at that moment: no file has it.
    fn open_metrics(&self, snapshot: &Snapshot) -> Arc<[u8]> {
        let text = snapshot.open_metrics.get_or_init(|| {
            let mut text = String::new();
            openmetrics::encode(&mut text, &snapshot.values, &self.identity);
            Arc::from(text.into_bytes())
        });
        Arc::clone(text)
    }
}
