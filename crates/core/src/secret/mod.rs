//! Secrets that live long: API keys and session tokens.
//!
//! Each has pages of its own, locked into memory where the process is allowed to (`RLIMIT_MEMLOCK`), left out of core dumps, and
//! overwritten before they are given back. Where locking is refused the secret is kept all the same: a library in somebody's
//! process must work with a small limit. A forked child inherits the content, not the lock.
//!
//! Exported key bytes do not stay: they are parsed from a zeroized buffer into aws-lc's own objects, which live on the heap and are
//! cleansed when freed.

use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use zeroize::Zeroize;

/// Bytes on pages of their own. `Debug` shows the length only.
pub struct SecretBytes {
    pages: NonNull<u8>,
    mapped: usize,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone and is only written by `new` and `drop`.
unsafe impl Send for SecretBytes {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for SecretBytes {}

impl SecretBytes {
    /// A copy of `bytes`. The caller overwrites its own.
    ///
    /// # Errors
    /// The system's, when no memory is left.
    pub fn new(bytes: &[u8]) -> std::io::Result<Self> {
        let page = rustix::param::page_size();
        let mapped = bytes.len().max(1).div_ceil(page) * page;
        // SAFETY: a new private mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), mapped, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)? };
        let pages = NonNull::new(start.cast::<u8>()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let secret = Self { pages, mapped, len: bytes.len() };
        // SAFETY: the range is exactly the mapping made above. Neither call changes its content; both may be refused.
        let _best_effort = unsafe { (mlock(start, mapped), madvise(start, mapped, Advice::LinuxDontDump)) };
        // SAFETY: the mapping is at least `bytes.len()` long, writable, and nothing else refers to it yet.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), pages.as_ptr(), bytes.len()) };
        Ok(secret)
    }
}

impl AsRef<[u8]> for SecretBytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `len` bytes at `pages` are initialised, and nobody writes them while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.pages.as_ptr(), self.len) }
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        // SAFETY: `drop` has the only reference left, and the mapping is `mapped` bytes long.
        unsafe { std::slice::from_raw_parts_mut(self.pages.as_ptr(), self.mapped) }.zeroize();
        // SAFETY: the range is the mapping made in `new`; nothing refers to it any more.
        let _unmapped = unsafe { munmap(self.pages.as_ptr().cast::<c_void>(), self.mapped) };
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_was_given_and_shows_nothing() {
        for len in [0, 1, 4096, 10_000] {
            let secret = SecretBytes::new(&vec![7; len]).unwrap();
            assert_eq!(secret.as_ref(), vec![7; len]);
            assert_eq!(format!("{secret:?}"), format!("SecretBytes({len} bytes)"));
        }
    }

    /// `/proc/self/smaps` marks pages that a core dump leaves out with `dd`.
    #[test]
    fn its_pages_are_left_out_of_core_dumps() {
        let secret = SecretBytes::new(b"needle").unwrap();
        let address = secret.as_ref().as_ptr().addr();
        // Another test's secret beside ours may be in the same range.
        let holds = |line: &str| {
            let range = line.split(' ').next()?.split_once('-')?;
            let bound = |text| usize::from_str_radix(text, 16).ok();
            Some((bound(range.0)?..bound(range.1)?).contains(&address))
        };
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let flags = smaps.lines().skip_while(|line| holds(line) != Some(true)).find(|line| line.starts_with("VmFlags:")).unwrap();
        assert!(flags.split_whitespace().any(|flag| flag == "dd"), "{flags}");
    }
}
