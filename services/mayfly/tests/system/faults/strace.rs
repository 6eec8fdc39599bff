//! System calls of running processes that fail, take long or kill.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{Child, Command};

use crate::harness::until;

/// A `strace` at some processes. They go on when it ends.
pub(super) struct Strace(Child);

impl Strace {
    /// At all threads of `processes`, with what is injected into which calls in strace's own words.
    pub(super) async fn at_processes(processes: &[String], calls: &str, injection: &str) -> Self {
        Self::begin(&["-f"], processes, calls, injection, Path::new("/dev/null")).await
    }

    /// As [`at_processes`](Self::at_processes), with a log of the calls.
    pub(super) async fn logging(process: String, calls: &str, injection: &str, log: &Path) -> Self {
        Self::begin(&["-f"], &[process], calls, injection, log).await
    }

    /// At this thread alone.
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
        // Whoever is gone, perhaps by what was injected, waits for no tracer.
        let is_attached = |id: &String| {
            let status = fs::read_to_string(PathBuf::from("/proc").join(id).join("status"));
            status.map_or(true, |status| !status.contains("TracerPid:\t0\n"))
        };
        until("strace is attached", async || ids.iter().all(is_attached) || strace.has_ended()).await;
        strace
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Lets go of the processes.
    pub(super) async fn detach(mut self) {
        if let Some(id) = self.0.id() {
            assert!(Command::new("kill").args(["-INT", &id.to_string()]).status().await.unwrap().success());
        }
        self.0.wait().await.unwrap();
    }

    /// Lets go of the processes at once, even of a call that it holds up.
    pub(super) async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    /// Waits for the end of the processes.
    pub(super) async fn ended(mut self) {
        self.0.wait().await.unwrap();
    }
}
