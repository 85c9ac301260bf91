//! What is measured: the provider, nginx and the controller, each a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bb_proto::client::Client;
use bb_proto::home::Home;
use tempfile::TempDir;

use super::Arguments;
use crate::harness::{Daemon, registration};

/// Something that answers calls.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) address: String,
    pub(super) path: String,
    /// The processes that stand between client and provider.
    pub(super) pids: Vec<u32>,
}

/// The processes, ended when this is dropped.
#[derive(Debug)]
pub(super) struct Parts {
    provider: Child,
    provider_address: String,
    nginx: Child,
    nginx_address: String,
    daemon: Daemon,
    token: String,
    _folder: TempDir,
}

impl Drop for Parts {
    fn drop(&mut self) {
        // nginx ends its worker when it is told to.
        let pid = rustix::process::Pid::from_child(&self.nginx);
        if let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM) {
            say(&format!("nginx was gone: {error}"));
        }
        drop(self.nginx.wait());
        drop(self.provider.kill());
        drop(self.provider.wait());
    }
}

impl Parts {
    pub(super) async fn start(arguments: &Arguments, script: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut provider = Command::new(&arguments.provider)
            .args(script)
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the scripted provider")?;
        let mut line = String::new();
        BufReader::new(provider.stdout.take().context("no output")?).read_line(&mut line)?;
        let said: serde_json::Value = serde_json::from_str(&line)?;
        let provider_address = said
            .get("address")
            .and_then(|a| a.as_str())
            .context("no address")?
            .to_owned();

        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let nginx_address = format!("127.0.0.1:{port}");
        let root = folder.path().display().to_string();
        let configuration = folder.path().join("nginx.conf");
        std::fs::write(
            &configuration,
            nginx_conf(&root, &nginx_address, &provider_address),
        )?;
        let nginx = Command::new(&arguments.nginx)
            .arg("-c")
            .arg(&configuration)
            .args([
                "-p",
                &root,
                "-e",
                &format!("{root}/error.log"),
                "-g",
                "daemon off;",
            ])
            .spawn()
            .context("starting nginx")?;

        let home = Home::new(folder.path().join("home"));
        std::fs::create_dir_all(home.path())?;
        let key = folder.path().join("key");
        std::fs::write(&key, "sk-bench")?;
        std::fs::write(
            home.settings(),
            format!(
                "egress:\n  listen: 127.0.0.1:0\nbudget:\n  claude: 9007199254740992\nproviders:\n  \
                 claude:\n    upstream: http://{provider_address}\n    credential: file:{}\n",
                key.display()
            ),
        )?;
        let daemon = Daemon::start(&arguments.controller, &home, &[])?;
        let token = Client::connect(&home.socket())?
            .call(&registration("bench")?)?
            .token;
        wait_for(&nginx_address).await?;
        Ok(Self {
            provider,
            provider_address,
            nginx,
            nginx_address,
            daemon,
            token,
            _folder: folder,
        })
    }

    /// Returns the three, in the order of what they add.
    pub(super) fn targets(&self) -> Vec<Target> {
        let nginx = self.nginx.id();
        let mut nginx_pids = children(nginx);
        nginx_pids.push(nginx);
        let at = |name, address: &str, path: String, pids| Target {
            name,
            address: address.to_owned(),
            path,
            pids,
        };
        vec![
            at(
                "directly",
                &self.provider_address,
                "/v1/messages".to_owned(),
                Vec::new(),
            ),
            at(
                "nginx",
                &self.nginx_address,
                "/v1/messages".to_owned(),
                nginx_pids,
            ),
            at(
                "controller",
                &self.daemon.egress,
                format!("/b/{}/claude/v1/messages", self.token),
                vec![self.daemon.pid()],
            ),
        ]
    }
}

fn nginx_conf(root: &str, listen: &str, upstream: &str) -> String {
    format!(
        "worker_processes 1;\npid {root}/nginx.pid;\nevents {{ worker_connections 8192; }}\n\
         http {{\n  access_log off;\n  client_body_temp_path {root}/body;\n  \
         proxy_temp_path {root}/proxy;\n  fastcgi_temp_path {root}/fastcgi;\n  \
         uwsgi_temp_path {root}/uwsgi;\n  scgi_temp_path {root}/scgi;\n  \
         keepalive_requests 1000000000;\n  \
         upstream provider {{ server {upstream}; keepalive 2000; keepalive_requests 1000000000; }}\n  \
         server {{\n    listen {listen} backlog=4096;\n    client_max_body_size 40m;\n    \
         client_body_buffer_size 128k;\n    location / {{\n      proxy_pass http://provider;\n      \
         proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      \
         proxy_buffering off;\n    }}\n  }}\n}}\n"
    )
}

async fn wait_for(address: &str) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(10);
    while tokio::net::TcpStream::connect(address).await.is_err() {
        anyhow::ensure!(Instant::now() < until, "{address} does not answer");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Returns the children of a process.
fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    listed
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// Returns what the machine is, in a line.
pub(super) fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{cores} cores, {}, load before: {}",
        model.map_or("processor not named", |(_, name)| name),
        load.split(' ').take(3).collect::<Vec<_>>().join(" ")
    )
}

/// Prints a line at once.
pub(super) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    // Nobody reading is no reason to stop measuring.
    drop(writeln!(stdout, "{line}"));
    drop(stdout.flush());
}
