//! Starts the command behind the filter, and ends as it ended.

use std::ffi::OsString;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitStatus, set_child_subreaper, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};

use super::filter;
use super::kernel::{self, Listener, Signals};
use super::module::Module;
use super::supervisor::Supervisor;
use crate::error::Error;

/// What is passed on to the command, and the end of a child.
const SIGNALS: [libc::c_int; 9] =
    [libc::SIGCHLD, libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH, libc::SIGALRM];
/// The command was found and cannot be run, as in a shell.
const NOT_RUN: u8 = 126;
/// It was not found.
const NOT_FOUND: u8 = 127;

/// Runs `command` (a program and its arguments) to its end, and returns its exit code. Where a signal ended it, the same signal ends this
/// process. The process must have one thread only.
pub(super) fn run(command: &[OsString], module: Module) -> Result<u8, Error> {
    let failed = |source| Error::Supervise { source };
    let Some((program, arguments)) = command.split_first() else { return Ok(NOT_FOUND) };
    let signals = Signals::take(&SIGNALS).map_err(failed)?;
    // What the command leaves behind stays our descendant: Yama lets nobody else look into it.
    set_child_subreaper(rustix::process::getpid().into()).map_err(|error| failed(error.into()))?;
    let mut command = Command::new(program);
    command.args(arguments);
    let (child, listener) = match start(&mut command, &signals).map_err(failed)? {
        (Ok(child), Some(listener)) => (child, listener),
        (Err(source), _) if source.raw_os_error() == Some(libc::EBUSY) => return Err(Error::Nested),
        (Err(source), None) => return Err(Error::Filter { source }),
        (Err(source), Some(_)) => {
            eprintln!("dsma-local: {} cannot be run: {source}", program.display());
            return Ok(if source.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN });
        }
        (Ok(_), None) => return Err(failed(ErrorKind::BrokenPipe.into())),
    };
    let supervisor = Supervisor::new(listener, signals, module, Pid::from_child(&child)).map_err(failed)?;
    supervisor.run().map_err(failed).map(end_as)
}

/// The child, or why it did not become the program, and the listener, where the filter was installed.
fn start(command: &mut Command, signals: &Signals) -> io::Result<(io::Result<Child>, Option<Listener>)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Without the right to look into every process, those that we start must stay open to us.
    let trace_any = capabilities(None)?.effective.contains(CapabilitySet::SYS_PTRACE);
    let program = filter::program(!trace_any);
    let theirs_in_child = theirs.try_clone()?;
    kernel::before_exec(command, signals, move || {
        // Without us each open would fail: they end with us.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        set_no_new_privs(true)?;
        let listener = Listener::install(&program)?;
        send(&theirs_in_child, &listener)
    });
    let child = command.spawn();
    drop(theirs);
    // The command holds the other copy of the socket; it must go, so that the end of the stream can be seen.
    *command = Command::new("");
    Ok((child, receive(&ours)?))
}

fn send(socket: &OwnedFd, listener: &Listener) -> io::Result<()> {
    let descriptors = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
    Ok(())
}

fn receive(socket: &OwnedFd) -> io::Result<Option<Listener>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket, &mut [IoSliceMut::new(&mut [0])], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(descriptor.map(Listener::from))
}

fn end_as(status: WaitStatus) -> u8 {
    if let Some(signal) = status.terminating_signal() {
        // The command's core, if any, is the one to look at.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
        kernel::die_of(signal);
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    status.exit_status().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
