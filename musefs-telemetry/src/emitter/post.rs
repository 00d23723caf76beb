//! The HTTP client: one request, one reply, each bounded in time and bytes. It follows no redirect, since the operator chose
//! one server and not whom that names.

use std::time::Duration;

use ureq::Agent;
use ureq::http::header::{CONTENT_TYPE, RETRY_AFTER};

use super::Settings;
use super::cycle::Answer;

/// A longer reply says nothing.
pub(super) const REPLY_BYTES_MAX: u64 = 1 << 16;

#[derive(Debug)]
pub(super) struct Post {
    agent: Agent,
    endpoint: String,
    timeout: Duration,
    last_timeout: Duration,
}

impl Post {
    pub fn new(settings: &Settings) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The next request is hours away.
            .max_idle_connections(0)
            .user_agent(settings.user_agent.as_str())
            .build()
            .new_agent();
        Self {
            agent,
            endpoint: settings.endpoint.clone(),
            timeout: settings.timeout,
            last_timeout: settings.last_timeout,
        }
    }

    /// Sends `body`, which may be the last.
    pub fn send(&self, body: &[u8], last: bool) -> Answer {
        let timeout = if last {
            self.last_timeout
        } else {
            self.timeout
        };
        let sent = self
            .agent
            .post(&self.endpoint)
            .config()
            .timeout_global(Some(timeout))
            .build()
            .header(CONTENT_TYPE, "application/json")
            .send(body);
        match sent {
            Err(error) => Answer::Lost(error.to_string()),
            Ok(mut reply) => {
                let retry_after = reply.headers().get(RETRY_AFTER);
                Answer::Http {
                    status: reply.status().as_u16(),
                    retry_after: retry_after
                        .and_then(|value| value.to_str().ok())
                        .map(str::to_owned),
                    body: reply
                        .body_mut()
                        .with_config()
                        .limit(REPLY_BYTES_MAX)
                        .read_to_vec()
                        .ok(),
                }
            }
        }
    }
}
