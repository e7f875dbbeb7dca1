//! The system calls that no safe crate offers: seccomp's listener (seccomp_unotify(2)), signalfd(2), and what a child does between fork and
//! exec. All `unsafe` of this program is here; the functions are safe to call.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{c_int, c_ulong};

/// The listener's end of a seccomp filter.
pub(super) struct Listener(OwnedFd);

/// A system call that a thread of the command waits in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Names this very call; no later one has it again.
    pub(super) id: u64,
    /// The thread, in our pid namespace.
    pub(super) tid: u32,
    /// Its number.
    pub(super) number: libc::c_long,
    /// Its arguments.
    pub(super) args: [u64; 6],
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The kernel performs it.
    Continue,
    /// It returns this instead: 0, or a negated error number.
    Return(i32),
}

impl Listener {
    /// Installs `filter` for the calling thread and its later children, for good. no_new_privs must be set.
    pub(super) fn install(filter: &[libc::sock_filter]) -> io::Result<Self> {
        let length = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
        let install = |flags: c_ulong| {
            // SAFETY: `program` points to `filter`, which outlives the call; the kernel copies it and writes nothing.
            let fd = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
            match c_int::try_from(fd) {
                // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
                Ok(fd) if fd >= 0 => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // With it, a signal does not repeat a request that was served already (Linux 5.19).
        install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).or_else(|error| {
            if error.raw_os_error() == Some(libc::EINVAL) { install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER) } else { Err(error) }
        })
    }

    /// The next call. An error is a caller that went away meanwhile, or a signal.
    pub(super) fn receive(&self) -> io::Result<Call> {
        // SAFETY: a structure of integers; the kernel wants it zeroed.
        let mut notification: libc::seccomp_notif = unsafe { mem::zeroed() };
        // SAFETY: the request number carries the size of this very structure, which the kernel fills.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut notification) };
        let libc::seccomp_data { nr, args, .. } = notification.data;
        checked(done).map(|()| Call { id: notification.id, tid: notification.pid, number: nr.into(), args })
    }

    /// Whether the caller still waits in this call. What was opened of it by its thread id before is then of it and nobody else.
    pub(super) fn is_waiting(&self, id: u64) -> bool {
        // SAFETY: the kernel reads the eight bytes.
        checked(unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID as _, &raw const id) }).is_ok()
    }

    /// Ends the wait. A caller that has gone away needs no answer.
    pub(super) fn answer(&self, id: u64, verdict: Verdict) {
        let (error, flags) = match verdict {
            Verdict::Continue => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            Verdict::Return(error) => (error, 0),
        };
        let answer = libc::seccomp_notif_resp { id, val: 0, error, flags };
        // SAFETY: the request number carries the size of this very structure, which the kernel reads.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw const answer) };
    }

    /// Ends the wait with a new descriptor of `file` in the caller's process, in one step (Linux 5.14).
    pub(super) fn give(&self, id: u64, file: BorrowedFd<'_>, close_on_exec: bool) -> io::Result<()> {
        let gift = libc::seccomp_notif_addfd {
            id,
            flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
            srcfd: file.as_raw_fd() as u32,
            newfd: 0,
            newfd_flags: if close_on_exec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        // SAFETY: the request number carries the size of this very structure, which the kernel reads.
        checked(unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD as _, &raw const gift) })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Listener {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

/// Signals as a file to read, instead of handlers.
pub(super) struct Signals {
    fd: OwnedFd,
    before: libc::sigset_t,
}

/// A signal that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) signal: c_int,
    /// The terminal sent it, to the whole foreground group: the command has it already.
    pub(super) by_kernel: bool,
}

impl Signals {
    /// Blocks these signals for the calling thread, which must be the only one, and makes them readable.
    pub(super) fn take(signals: &[c_int]) -> io::Result<Self> {
        // SAFETY: both sets are plain memory that the calls below fill; `signals` holds valid numbers or the calls fail.
        unsafe {
            let (mut set, mut before): (libc::sigset_t, libc::sigset_t) = (mem::zeroed(), mem::zeroed());
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                checked(libc::sigaddset(&raw mut set, *signal))?;
            }
            checked(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, &raw mut before))?;
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            checked(fd)?;
            Ok(Self { fd: OwnedFd::from_raw_fd(fd), before })
        }
    }

    /// The next one, if any has come.
    pub(super) fn next(&self) -> Option<Received> {
        // SAFETY: a structure of integers.
        let mut info: libc::signalfd_siginfo = unsafe { mem::zeroed() };
        let size = size_of_val(&info);
        // SAFETY: the kernel writes at most `size` bytes, which is all of the structure.
        let read = unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut info).cast(), size) };
        if usize::try_from(read) != Ok(size) {
            return None;
        }
        Some(Received { signal: info.ssi_signo as c_int, by_kernel: info.ssi_code == libc::SI_KERNEL })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Has `command` run `enter` in the child just before it becomes the program, with the signal mask that was set before `signals` was made.
/// The calling process must have one thread only.
pub(super) fn before_exec(command: &mut Command, signals: &Signals, enter: impl Fn() -> io::Result<()> + Send + Sync + 'static) {
    let mask = signals.before;
    // SAFETY: the process has one thread, so that the child may do what any process may: no lock can be held by a thread that it lacks.
    unsafe {
        command.pre_exec(move || {
            checked(libc::sigprocmask(libc::SIG_SETMASK, &raw const mask, std::ptr::null_mut()))?;
            enter()
        });
    }
}

/// Ends this process by `signal`, so that its parent sees what happened to the command. Returns where the signal is one that ends nothing.
pub(super) fn die_of(signal: c_int) {
    // SAFETY: plain system calls on the own process; the default action takes the place of a handler, so no code of ours runs in it.
    unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::signal(signal, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
        libc::raise(signal);
    }
}

fn checked(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
