//! Answers the command's system calls, passes signals on, and waits for the end.
//!
//! Nothing here is a sandbox: a program that changes the path between our look at it and the kernel's gets what it would get without us.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

use super::filter::NSM_IOCTL;
use super::kernel::{Call, Listener, Signals, Verdict};
use super::memory::{Memory, file_identity};
use super::module::Module;

const DEVICE: &[u8] = b"/dev/nsm\0";
/// `struct nsm_raw` of the driver: address and length of the request, address and length of the room for the answer.
const MESSAGE: usize = 32;
/// Where the length of the answer is written.
const ANSWER_LENGTH: u64 = 24;
/// The driver's limit.
const MAX_REQUEST: u64 = 0x1000;

/// The device that all openers share: an empty file that can be neither written nor grown.
struct Device {
    file: File,
    identity: (u64, u64),
}

/// One command and its descendants.
pub(super) struct Supervisor {
    listener: Listener,
    signals: Signals,
    module: Module,
    device: Device,
    command: Pid,
    /// How the command ended.
    status: Option<WaitStatus>,
    /// The command's process or one of its descendants could not be read; said once.
    unreadable: bool,
}

impl Supervisor {
    pub(super) fn new(listener: Listener, signals: Signals, module: Module, command: Pid) -> io::Result<Self> {
        let device = Device::new()?;
        Ok(Self { listener, signals, module, device, command, status: None, unreadable: false })
    }

    /// Serves until nobody can call any more, and tells how the command ended.
    pub(super) fn run(mut self) -> io::Result<WaitStatus> {
        let mut callers = true;
        loop {
            match self.status {
                Some(status) if !callers => return Ok(status),
                _ => {}
            }
            let mut files = vec![PollFd::new(&self.signals, PollFlags::IN)];
            if callers {
                files.push(PollFd::new(&self.listener, PollFlags::IN));
            }
            match poll(&mut files, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let calls = files.get(1).map_or_else(PollFlags::empty, PollFd::revents);
            drop(files);
            self.pass_signals();
            if calls.contains(PollFlags::IN) {
                self.serve();
            } else if calls.contains(PollFlags::HUP) {
                callers = false;
            }
        }
    }

    /// What comes from the terminal reached the command by itself; what somebody sent to us alone is meant for it.
    fn pass_signals(&mut self) {
        while let Some(received) = self.signals.next() {
            if received.signal == libc::SIGCHLD {
                self.reap();
            } else if let Some(signal) = Signal::from_named_raw(received.signal).filter(|_| !received.by_kernel) {
                match self.status {
                    None => drop(kill_process(self.command, signal)),
                    // Only what the command left behind still runs, and it is left for good: without us it has no device.
                    Some(_) => super::kernel::die_of(received.signal),
                }
            }
        }
    }

    /// Descendants whose parent has ended come to us.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.command {
                self.status = Some(status);
            }
        }
    }

    fn serve(&mut self) {
        // The caller may have been killed since the poll.
        let Ok(call) = self.listener.receive() else { return };
        let verdict = match Memory::of(&call, &self.listener) {
            Ok(None) => return,
            Err(error) => {
                self.say_unreadable(call.tid, &error);
                Some(Verdict::Continue)
            }
            Ok(Some(memory)) if call.number == libc::SYS_ioctl => Some(self.control(&call, &memory)),
            Ok(Some(memory)) => self.open(&call, &memory),
        };
        if let Some(verdict) = verdict {
            self.listener.answer(call.id, verdict);
        }
    }

    /// `None` where the call was answered with a descriptor.
    fn open(&self, call: &Call, memory: &Memory) -> Option<Verdict> {
        let (path, flags) = opened(call, memory);
        // A path may end just before memory that cannot be read.
        if memory.read_some(path, DEVICE.len()) != DEVICE {
            return Some(Verdict::Continue);
        }
        match self.listener.give(call.id, self.device.file.as_fd(), flags & libc::O_CLOEXEC as u64 != 0) {
            Ok(()) => None,
            // As when the caller has no descriptor left.
            Err(error) => Some(failure(error.raw_os_error().unwrap_or(libc::EIO))),
        }
    }

    /// What the driver does (drivers/misc/nsm.c): its limits, its error numbers.
    fn control(&mut self, call: &Call, memory: &Memory) -> Verdict {
        let ours = file_identity(call.tid, call.args[0]) == Some(self.device.identity);
        // The thread still waits, so that the descriptor was looked up in its own process.
        if !ours || call.args[1] as u32 != NSM_IOCTL || !self.listener.is_waiting(call.id) {
            return Verdict::Continue;
        }
        let message = call.args[2];
        let Some([request, request_length, room, room_length]) = memory.read(message, MESSAGE).and_then(|bytes| words(&bytes)) else {
            return failure(libc::EFAULT);
        };
        if request_length > MAX_REQUEST {
            return failure(libc::EMSGSIZE);
        }
        let Some(request) = memory.read(request, request_length as usize) else {
            return failure(libc::EFAULT);
        };
        let answer = self.module.answer(&request, SystemTime::now());
        let length = answer.len() as u64;
        if room_length < length {
            return failure(libc::EMSGSIZE);
        }
        let written = memory.write(room, &answer).and_then(|()| memory.write(message + ANSWER_LENGTH, &length.to_ne_bytes()));
        if written.is_some() { Verdict::Return(0) } else { failure(libc::EFAULT) }
    }

    fn say_unreadable(&mut self, tid: u32, error: &io::Error) {
        if !std::mem::replace(&mut self.unreadable, true) {
            eprintln!(
                "dsma-local: /dev/nsm is not emulated for process {tid}, whose memory cannot be read ({error}): its program is set-uid or \
                 not readable, or kernel.yama.ptrace_scope is above 1; run with-nsm as root, or lower that setting"
            );
        }
    }
}

impl Device {
    fn new() -> io::Result<Self> {
        let file: File = memfd_create("nsm", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?.into();
        fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        let metadata = file.metadata()?;
        Ok(Self { identity: (metadata.dev(), metadata.ino()), file })
    }
}

/// Address of the path, and the flags.
fn opened(call: &Call, memory: &Memory) -> (u64, u64) {
    let [first, second, third, ..] = call.args;
    if call.number == libc::SYS_openat {
        (second, third)
    } else if call.number == libc::SYS_openat2 {
        // `struct open_how` begins with the flags.
        let flags = memory.read(third, 8).and_then(|bytes| words(&bytes)).map_or(0, |[flags]| flags);
        (second, flags)
    } else {
        (first, second)
    }
}

fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: [[u8; 8]; N] = words.try_into().ok()?;
    rest.is_empty().then(|| words.map(u64::from_ne_bytes))
}

fn failure(number: i32) -> Verdict {
    Verdict::Return(-number)
}
