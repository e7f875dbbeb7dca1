//! The memory of a thread that waits in a system call.
//!
//! It is opened once, as `/proc/<tid>/mem`, and then checked that the thread still waits in the same call: from there on the open file is
//! of that address space, even if the thread ends and its number is given to another. (process_vm_readv would go by the number each time.)

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::kernel::{Call, Listener};

/// The address space behind one call.
pub(super) struct Memory(File);

impl Memory {
    /// The caller's memory, for reading and writing; `None` where the caller has gone away meanwhile.
    ///
    /// The kernel asks for what ptrace(2) asks for: the same user and a dumpable process, or CAP_SYS_PTRACE.
    pub(super) fn of(call: &Call, listener: &Listener) -> io::Result<Option<Self>> {
        let opened = File::options().read(true).write(true).open(format!("/proc/{}/mem", call.tid));
        if !listener.is_waiting(call.id) {
            return Ok(None);
        }
        opened.map(|file| Some(Self(file)))
    }

    /// As many of `length` bytes as can be read from `address` on.
    pub(super) fn read_some(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = self.0.read_at(&mut bytes, address).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }

    /// `length` bytes, or nothing.
    pub(super) fn read(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, address).ok().map(|()| bytes)
    }

    /// Writes all bytes; `None` where a part of the range cannot be written.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Option<()> {
        self.0.write_all_at(bytes, address).ok()
    }
}

/// Which file a descriptor of the caller is, as device and inode: the same for each descriptor of it, duplicated or inherited.
pub(super) fn file_identity(tid: u32, descriptor: u64) -> Option<(u64, u64)> {
    // The kernel takes an `int`.
    let descriptor = descriptor as u32 as i32;
    let file = std::fs::metadata(format!("/proc/{tid}/fd/{descriptor}")).ok()?;
    Some((file.dev(), file.ino()))
}
