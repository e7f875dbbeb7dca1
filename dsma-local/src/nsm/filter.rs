//! The seccomp filter: which system calls of the command stop and wait for us.

use libc::sock_filter;

/// `_IOWR(0x0A, 0, 32 bytes)`, the one request of the device.
pub(super) const NSM_IOCTL: u32 = 0xc020_0a00;

/// AUDIT_ARCH of linux/audit.h.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Offsets in `struct seccomp_data`. The low half of an argument comes first: both architectures are little-endian.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// open, openat, openat2 and the device's ioctl notify; everything else is allowed, calls of other ABIs (32-bit, x32) included: such
/// programs see no device. With `keep_dumpable`, prctl(PR_SET_DUMPABLE, 0) returns 0 without being performed.
pub(super) fn program(keep_dumpable: bool) -> Vec<sock_filter> {
    let mut program = vec![statement(LOAD, ARCH), unless(ARCHITECTURE, 1), statement(RETURN, libc::SECCOMP_RET_ALLOW)];
    for number in OPENS {
        program.extend(on_call(*number, &[statement(RETURN, libc::SECCOMP_RET_USER_NOTIF)]));
    }
    program.extend(on_call(libc::SYS_ioctl, &on_argument(1, NSM_IOCTL, &[statement(RETURN, libc::SECCOMP_RET_USER_NOTIF)])));
    if keep_dumpable {
        let refused = on_argument(1, 0, &[statement(RETURN, libc::SECCOMP_RET_ERRNO)]);
        program.extend(on_call(libc::SYS_prctl, &on_argument(0, libc::PR_SET_DUMPABLE as u32, &refused)));
    }
    program.push(statement(RETURN, libc::SECCOMP_RET_ALLOW));
    program
}

/// The system calls that open by path.
#[cfg(target_arch = "x86_64")]
const OPENS: &[libc::c_long] = &[libc::SYS_open, libc::SYS_openat, libc::SYS_openat2];
#[cfg(not(target_arch = "x86_64"))]
const OPENS: &[libc::c_long] = &[libc::SYS_openat, libc::SYS_openat2];

/// `then` for this system call; it must not fall through.
fn on_call(number: libc::c_long, then: &[sock_filter]) -> Vec<sock_filter> {
    let mut block = vec![statement(LOAD, NUMBER), if_not(number as u32, then.len())];
    block.extend_from_slice(then);
    block
}

/// `then` where the low half of an argument has this value, else allow. The kernel looks at no more of these arguments than that half.
fn on_argument(index: u32, value: u32, then: &[sock_filter]) -> Vec<sock_filter> {
    let mut block = vec![statement(LOAD, ARGS + 8 * index), if_not(value, then.len())];
    block.extend_from_slice(then);
    block.push(statement(RETURN, libc::SECCOMP_RET_ALLOW));
    block
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Skips `length` instructions unless the loaded value is `k`.
fn if_not(k: u32, length: usize) -> sock_filter {
    // A block of a few instructions.
    sock_filter { code: EQUAL, jt: 0, jf: length as u8, k }
}

/// Skips `length` instructions where the loaded value is `k`.
fn unless(k: u32, length: u8) -> sock_filter {
    sock_filter { code: EQUAL, jt: length, jf: 0, k }
}
