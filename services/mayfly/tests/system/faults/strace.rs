//! Injects failures, delays and signals into system calls of running processes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::process::Signal;
use tokio::process::{Child, Command};

use crate::harness::{send_signal, wait_until};

/// A `strace` that is attached to processes. They continue when it ends.
pub(super) struct Strace(Child);

impl Strace {
    /// Attaches to all threads of `processes`. `calls` and `injection` have the syntax of strace.
    pub(super) async fn at_processes(processes: &[String], calls: &str, injection: &str) -> Self {
        Self::begin(&["-f"], processes, calls, injection, Path::new("/dev/null")).await
    }

    /// As [`at_processes`](Self::at_processes), with a log of the calls.
    pub(super) async fn logging(process: String, calls: &str, injection: &str, log: &Path) -> Self {
        Self::begin(&["-f"], &[process], calls, injection, log).await
    }

    /// Attaches to one thread.
    pub(super) async fn at_thread(thread: String, calls: &str, injection: &str) -> Self {
        Self::begin(&[], &[thread], calls, injection, Path::new("/dev/null")).await
    }

    async fn begin(how: &[&str], ids: &[String], calls: &str, injection: &str, log: &Path) -> Self {
        let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{injection}"));
        let mut strace = Command::new("strace");
        strace.args(how).args(["-q", "-e", &trace, "-e", &inject, "-o"]).arg(log);
        for id in ids {
            strace.args(["-p", id]);
        }
        strace.stderr(Stdio::null()).kill_on_drop(true);
        let mut strace = Self(strace.spawn().expect("this test needs strace: apt-get install strace"));
        // A process that has ended, perhaps by the injection, has no tracer.
        let is_attached = |id: &String| {
            let status = fs::read_to_string(PathBuf::from("/proc").join(id).join("status"));
            status.map_or(true, |status| !status.contains("TracerPid:\t0\n"))
        };
        wait_until("strace is attached", async || ids.iter().all(is_attached) || strace.has_ended()).await;
        strace
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Detaches from the processes.
    pub(super) async fn detach(mut self) {
        if self.0.id().is_some() {
            send_signal(&self.0, Signal::INT);
        }
        self.0.wait().await.unwrap();
    }

    /// Detaches from the processes at once, even in a delayed call.
    pub(super) async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    /// Waits until the processes have ended.
    pub(super) async fn wait(mut self) {
        self.0.wait().await.unwrap();
    }
}
