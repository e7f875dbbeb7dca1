//! A child process whose output is kept, and which never outlives its owner.
//!
//! Between us and the program stands a small shell that reads our end of a pipe. A line `stop` means SIGTERM and a clean end; the end of
//! the pipe, which comes however our process dies, means that the program is killed and its state removed. (The kernel's
//! parent-death signal would need `unsafe`, and it fires when the starting *thread* ends, which a test's thread does.)

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine, short enough for a test runner's patience.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `$1` is the state to remove when we die, or empty; the rest is the command. The shell lets go of the output pipe, so that its end
/// is the end of the program. A signal to the whole group (Ctrl-C) only interrupts the shell's `read`. The program leads a session of
/// its own, so that the kill reaches its children too: the workers of a web server outlive their master otherwise.
const SUPERVISOR: &str = r#"
state=$1; shift
trap 'again=1' INT TERM HUP
setsid "$@" 2>&1 </dev/null & child=$!
echo "testkit-pid $child"
exec >/dev/null 2>&1
word=
while again=; ! read -r word && [ "$again" ]; do :; done
if [ "$word" = stop ]; then
    kill -TERM "$child"; wait "$child"
else
    kill -s KILL -- "-$child"; kill -s KILL "$child"; wait "$child"
    [ -z "$state" ] || rm -rf -- "$state"
fi
"#;

/// A running program. Dropping it kills the program and its children.
pub struct Process {
    name: &'static str,
    shell: Child,
    control: Option<ChildStdin>,
    log: Arc<Log>,
    owner: u32,
}

impl Process {
    /// Starts `command`; `state` is removed if this process dies without stopping it. Of the command its program, arguments and
    /// variables count; standard output and standard error are kept as one.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(name: &'static str, command: &Command, state: Option<&Path>) -> Self {
        // Its own session: a runner that kills our group must not kill the one that clears up after us.
        let mut shell = Command::new("setsid");
        shell
            .args(["/bin/sh", "-c", SUPERVISOR, name])
            .arg(state.unwrap_or_else(|| Path::new("")))
            .arg(command.get_program())
            .args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        let mut shell = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("/bin/sh, which watches over {name}, does not start: {e}"));
        let control = shell.stdin.take();
        let output = shell.stdout.take().expect("stdout is a pipe");
        let log = Arc::new(Log::default());
        let writer = Arc::clone(&log);
        #[expect(clippy::disallowed_methods, reason = "a test crate reads its children's pipes")]
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                writer.push(&String::from_utf8_lossy(&line));
            }
            writer.end();
        });
        Self { name, shell, control, log, owner: std::process::id() }
    }

    /// Everything printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().text.clone()
    }

    /// Waits until a line contains `needle` and returns that line.
    ///
    /// # Panics
    /// With the whole output, if the program ends before, or after a minute.
    #[track_caller]
    pub fn wait_for(&self, needle: &str) -> String {
        self.until(needle).unwrap_or_else(|why| panic!("{why}"))
    }

    /// As [`Process::wait_for`]; an error is the whole output and why it is that.
    pub(crate) fn until(&self, needle: &str) -> Result<String, String> {
        let deadline = Instant::now() + PATIENCE;
        let mut content = self.log.lock();
        loop {
            if let Some(line) = content.text.lines().find(|line| line.contains(needle)) {
                return Ok(line.to_owned());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if content.ended || left.is_zero() {
                let what = if content.ended { "ended" } else { "said nothing for a minute" };
                return Err(format!("{} {what} before it printed {needle:?}. Its output:\n{}", self.name, content.text));
            }
            content = self.log.changed.wait_timeout(content, left).expect("the reader does not panic").0;
        }
    }

    /// The program's process id.
    ///
    /// # Panics
    /// Where it did not start.
    pub fn pid(&self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        let mut content = self.log.lock();
        while content.pid.is_none() && !content.ended && Instant::now() < deadline {
            content = self.log.changed.wait_timeout(content, PATIENCE).expect("the reader does not panic").0;
        }
        content.pid.unwrap_or_else(|| panic!("{} did not start:\n{}", self.name, content.text))
    }

    /// SIGTERM, then waits for the end. Returns the exit code.
    ///
    /// # Panics
    /// Where it does not end within a minute.
    pub fn stop(self) -> i32 {
        self.end().0
    }

    /// As [`Process::stop`], with the whole output.
    pub(crate) fn end(mut self) -> (i32, String) {
        self.pid();
        if let Some(mut control) = self.control.take() {
            // A program that has ended already leaves a shell that still reads.
            let _ = control.write_all(b"stop\n");
        }
        let deadline = Instant::now() + PATIENCE;
        let mut content = self.log.lock();
        while !content.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} did not stop within a minute of SIGTERM. Its output:\n{}", self.name, content.text);
            content = self.log.changed.wait_timeout(content, left).expect("the reader does not panic").0;
        }
        let log = std::mem::take(&mut content.text);
        drop(content);
        (self.shell.wait().expect("the shell is our child").code().unwrap_or(-1), log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A fork of the test process has a copy of this handle, but the program is not its own.
        if self.owner != std::process::id() {
            return;
        }
        if std::thread::panicking() {
            eprintln!("--- output of {}\n{}---", self.name, self.log());
        }
        drop(self.control.take());
        let _ = self.shell.wait();
    }
}

#[derive(Default)]
struct Log {
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    text: String,
    pid: Option<u32>,
    ended: bool,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn push(&self, line: &str) {
        let mut content = self.lock();
        if let Some(pid) = line.strip_prefix("testkit-pid ") {
            content.pid = pid.parse().ok();
        } else {
            content.text.push_str(line);
            content.text.push('\n');
        }
        self.changed.notify_all();
    }

    fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_kept_and_a_stop_is_a_sigterm() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap 'echo bye; exit 7' TERM; echo ready $WORD; while :; do sleep 0.05; done"]).env("WORD", "steady");
        let process = Process::start("sh", &command, None);
        assert_eq!(process.wait_for("ready"), "ready steady");
        assert_eq!(process.end(), (7, "ready steady\nbye\n".to_owned()));
    }

    #[test]
    fn a_dropped_process_is_killed_and_its_state_removed() {
        let state = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]);
        let process = Process::start("sh", &command, Some(state.path()));
        process.wait_for("ready");
        let pid = process.pid();
        drop(process);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(!state.path().exists());
    }

    #[test]
    #[should_panic(expected = "no such key")]
    fn an_early_end_shows_the_output() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo no such key >&2; exit 1"]);
        Process::start("sh", &command, None).wait_for("ready");
    }
}
