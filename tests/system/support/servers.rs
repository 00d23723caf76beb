//! A real `node_exporter` and a real Prometheus, on ports that nobody else has, ended with their test.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::eventually;
use super::process::{Running, run};
use super::watching::contrib_text;

/// A server that listens on a port of this machine.
pub struct Server {
    running: Running,
    port: u16,
}

impl Server {
    /// A `node_exporter` with all that it collects by itself, and the texts in `directory`.
    #[track_caller]
    pub fn node_exporter(directory: &Path) -> Self {
        Self::start(|port| {
            let mut command = Command::new("prometheus-node-exporter");
            command
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg(format!(
                    "--collector.textfile.directory={}",
                    directory.display()
                ));
            command
        })
    }

    /// A Prometheus that collects from `exporter` as the configuration in `contrib` says, only more often, and evaluates the
    /// rules there. It keeps its data in `directory`.
    #[track_caller]
    pub fn prometheus(exporter: &Self, directory: &Path) -> Self {
        let config = contrib_text("prometheus.yml");
        assert!(config.contains("localhost:9100") && config.contains("15s"));
        let config = config
            .replace("localhost:9100", &exporter.address())
            .replace("15s", "500ms");
        let rules = contrib_text("prometheus-rules.yml");
        std::fs::write(directory.join("prometheus-rules.yml"), rules)
            .expect("a file of the test's own");
        Self::prometheus_with(&config, directory)
    }

    /// A Prometheus with this configuration.
    #[track_caller]
    pub fn prometheus_with(config: &str, directory: &Path) -> Self {
        Self::prometheus_in(config, directory, &["--storage.tsdb.path"])
    }

    /// A Prometheus that collects nothing and takes what others pass on.
    #[track_caller]
    pub fn prometheus_receiving(directory: &Path) -> Self {
        let flags = ["--web.enable-remote-write-receiver", "--storage.tsdb.path"];
        Self::prometheus_in("global: {}\n", directory, &flags)
    }

    /// A Prometheus that keeps nothing of what it collects and passes it on.
    #[track_caller]
    pub fn prometheus_agent(config: &str, directory: &Path) -> Self {
        let flags = ["--enable-feature=agent", "--storage.agent.path"];
        Self::prometheus_in(config, directory, &flags)
    }

    /// A Prometheus with more flags, of which the last one takes the place of its data.
    #[track_caller]
    fn prometheus_in(config: &str, directory: &Path, flags: &[&str]) -> Self {
        std::fs::write(directory.join("prometheus.yml"), config).expect("a file of the test's own");
        Self::start(|port| {
            let mut command = Command::new("prometheus");
            command
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--config.file")
                .arg(directory.join("prometheus.yml"))
                .args(flags)
                .arg(directory.join("data"));
            command
        })
    }

    /// Starts a server, again on another port if somebody took the first one meanwhile.
    #[track_caller]
    fn start(command: impl Fn(u16) -> Command) -> Self {
        eventually("a server that answers", || {
            let mut server = Self::try_start(&command);
            eventually("an answer or an end", || {
                if server.get("/").is_some() {
                    return Some(true);
                }
                let ended = server.running.wait(std::time::Duration::ZERO);
                ended.map(|status| {
                    eprintln!("ended with {status}: {}", server.running.stderr());
                    false
                })
            })
            .then_some(server)
        })
    }

    fn try_start(command: &impl Fn(u16) -> Command) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        Self {
            running: Running::start(&mut command(port)),
            port,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it answers to a path, where it answers at all.
    pub fn get(&self, path: &str) -> Option<String> {
        self.curl(path, &[])
    }

    fn curl(&self, path: &str, parameters: &[(&str, &str)]) -> Option<String> {
        let mut curl = Command::new("curl");
        // Prometheus says what is wrong with a query in the body of an error.
        curl.args(["-sS", "--noproxy", "*", "--max-time", "30", "--get"]);
        for (name, value) in parameters {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        let outcome = run(curl.arg(format!("http://{}{path}", self.address())));
        (outcome.code == Some(0)).then(|| outcome.text())
    }

    /// The result of a query of Prometheus.
    ///
    /// # Panics
    /// When it finds a fault with it.
    #[track_caller]
    pub fn query(&self, expression: &str) -> Vec<Value> {
        let answer = self.curl("/api/v1/query", &[("query", expression)]);
        let answer: Value = serde_json::from_str(&answer.expect("an answer")).expect("JSON");
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        assert!(answer["warnings"].is_null(), "{expression}: {answer}");
        answer["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already. Its data is taken away next, so it must not write any more.
        self.running.child.kill().ok();
        self.running.child.wait().ok();
    }
}
