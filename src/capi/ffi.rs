//! The door of the C API: the only unsafe code in it, and every exported shell.
//!
//! A shell turns pointers into types once and calls a safe function of a noun. [`shells!`] puts around each one what none may miss:
//! the fork gate, the panic barrier, and for a function that returns a `dsma_result` the error object. The shells stand in the
//! header's order; their comments are the header's text.
//!
//! What every SAFETY comment below leans on is the header's contract: a pointer is NULL or valid for its type and the length beside
//! it for the whole call; handles come from this library, have not been freed, and are freed by one thread after their last use.

use std::ffi::{CStr, OsStr, c_char};
use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::{ptr, slice};

use dsma_core::gate;
use dsma_crypto::{Buffers, CipherParams, random};

use super::cipher::{self, dsma_cipher_params};
use super::client::{dsma_client, dsma_stats};
use super::error::{Failure, dsma_error, dsma_result};
use super::key::{self, dsma_key};
use super::signature::{self, dsma_signature_params};

/// Exports each function between the braces, which the header generator reads too. One that returns a `dsma_result` has `error` as
/// its last parameter, and its body is a `Result<(), Failure>`.
macro_rules! shells {
    () => {};
    ($(#[$doc:meta])* unsafe extern "C" fn $name:ident($($arg:ident: $type:ty),+ $(,)?) -> dsma_result $body:block $($rest:tt)*) => {
        $(#[$doc])*
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($arg: $type),+) -> dsma_result {
            // SAFETY: the header's contract, see the top of this file.
            let run = || unsafe {
                let body = || $body;
                report(body(), last!($($arg),+))
            };
            // SAFETY: as above, for the last parameter.
            let panicked = || unsafe { report(Err(Failure::Panic), last!($($arg),+)) };
            barrier(run).or_else(|| barrier(panicked)).unwrap_or(dsma_result::DSMA_ERROR_INTERNAL)
        }
        shells! { $($rest)* }
    };
    ($(#[$doc:meta])* unsafe extern "C" fn $name:ident($($arg:ident: $type:ty),*) $(-> $return:ty)? $body:block $($rest:tt)*) => {
        $(#[$doc])*
        #[unsafe(no_mangle)]
        #[allow(unused_unsafe, reason = "some take no pointer")]
        unsafe extern "C" fn $name($($arg: $type),*) $(-> $return)? {
            // SAFETY: the header's contract, see the top of this file.
            barrier(|| unsafe { $body }).unwrap_or_default()
        }
        shells! { $($rest)* }
    };
}

macro_rules! last {
    ($last:ident) => { $last };
    ($first:ident, $($rest:ident),+) => { last!($($rest),+) };
}

shells! {
    /// The library's version, such as "0.1.0". The text is the library's and lasts as long as it is loaded.
    unsafe extern "C" fn dsma_version() -> *const c_char {
        VERSION.as_ptr()
    }

    /// Opens a client: reads the configuration and checks it, without touching the network.
    ///
    /// `config_path` names a TOML file; NULL takes the file that FORTANIX_PKCS11_CONFIG names, else /etc/fortanix/pkcs11.conf, else
    /// FORTANIX_API_ENDPOINT, FORTANIX_API_KEY and FORTANIX_CA_FILE of the environment. One client per process and credential is
    /// enough: each has a key cache of its own. `*client` receives the handle, NULL on failure; free it with dsma_client_free.
    /// Any thread.
    unsafe extern "C" fn dsma_client_open(
        config_path: *const c_char,
        client: *mut *mut dsma_client,
        error: *mut *mut dsma_error,
    ) -> dsma_result {
        let client = place(client, "client")?;
        let path = if config_path.is_null() { None } else { Some(path(config_path)) };
        *client = handle(dsma_client::open(path)?);
        Ok(())
    }

    /// Gives the handle back; NULL is ignored. Keys opened with it go on working: the client itself ends with the last of them. No
    /// other thread may be using this handle.
    unsafe extern "C" fn dsma_client_free(client: *mut dsma_client) {
        free(client)
    }

    /// Logs in to DSM now, or finds that this has been done. Nobody has to call it: the first operation that needs DSM logs in by
    /// itself. It tells early whether the endpoint answers and the credential is accepted. Any thread.
    unsafe extern "C" fn dsma_client_login(client: *const dsma_client, error: *mut *mut dsma_error) -> dsma_result {
        reference(client, "client")?.login()
    }

    /// Drops keys from the client's cache, so that their next use fetches them anew: those whose kids (text, as DSM shows them) are
    /// in `kids`, or all of them where `kids` is NULL. `*cleared` receives how many the cache had; `cleared` may be NULL. Operations
    /// that are running finish with the key they have. Any thread.
    unsafe extern "C" fn dsma_cache_clear(
        client: *const dsma_client,
        kids: *const *const c_char,
        kids_count: usize,
        cleared: *mut usize,
        error: *mut *mut dsma_error,
    ) -> dsma_result {
        let client = reference(client, "client")?;
        let count = if kids.is_null() {
            client.clear(None)
        } else {
            let kids: Result<Vec<_>, _> = list(kids, kids_count, "kids")?.iter().map(|kid| key::parse_kid(text(*kid, "kids")?)).collect();
            client.clear(Some(&kids?))
        };
        if let Some(cleared) = cleared.as_mut() {
            *cleared = count;
        }
        Ok(())
    }

    /// Writes the client's counters to `*stats`. Any thread; the numbers are read one by one, not at one moment.
    unsafe extern "C" fn dsma_client_stats(
        client: *const dsma_client,
        stats: *mut dsma_stats,
        error: *mut *mut dsma_error,
    ) -> dsma_result {
        let client = reference(client, "client")?;
        if stats.is_null() {
            return Err(Failure::Null("stats"));
        }
        stats.write(client.stats());
        Ok(())
    }

    /// Opens a key by its name in DSM, without touching the network: the name is looked up when the kid is first needed, and from
    /// then on the handle means that kid. Open a new handle to follow a name that has moved, as after a rotation.
    ///
    /// `*key` receives the handle, NULL on failure; free it with dsma_key_free. It keeps the client alive. Any thread.
    unsafe extern "C" fn dsma_key_by_name(
        client: *const dsma_client,
        name: *const c_char,
        key: *mut *mut dsma_key,
        error: *mut *mut dsma_error,
    ) -> dsma_result {
        let key = place(key, "key")?;
        *key = handle(dsma_key::by_name(&*shared(client, "client")?, text(name, "name")?)?);
        Ok(())
    }

    /// Opens a key by its kid (a UUID as text), without touching the network. Otherwise as dsma_key_by_name.
    unsafe extern "C" fn dsma_key_by_kid(
        client: *const dsma_client,
        kid: *const c_char,
        key: *mut *mut dsma_key,
        error: *mut *mut dsma_error,
    ) -> dsma_result {
        let key = place(key, "key")?;
        *key = handle(dsma_key::by_kid(&*shared(client, "client")?, text(kid, "kid")?)?);
        Ok(())
    }

    /// Gives the handle back; NULL is ignored. The key stays in DSM and, for its time, in the client's cache. No other thread may be
    /// using this handle.
    unsafe extern "C" fn dsma_key_free(key: *mut dsma_key) {
        free(key)
    }

    /// Fetches the key now unless the cache has it, so that the first operation does not wait for DSM, and so that a missing,
    /// disabled or foreign key shows at start. Any thread; the network only where the cache cannot answer.
    unsafe extern "C" fn dsma_key_load(key: *const dsma_key, error: *mut *mut dsma_error) -> dsma_result {
        reference(key, "key")?.load()
    }

    /// Writes the kid as text of 36 characters with its final NUL. `*kid_len` is the room at `kid` (37 bytes are needed) and receives
    /// the bytes written. Any thread; asks DSM where the handle is by name and has not been used.
    unsafe extern "C" fn dsma_key_kid(
        key: *const dsma_key,
        kid: *mut c_char,
        kid_len: *mut usize,
        error: *mut *mut dsma_error,
    ) -> dsma_result {
        let (key, length) = (reference(key, "key")?, length(kid_len, "kid_len")?);
        let room = bytes_mut(kid.cast(), *length, "kid")?;
        written(length, key.kid().and_then(|kid| key::write_kid(kid, room)))
    }

    /// Encrypts `input` to `output`, in the process where DSM lets the key out, else in DSM.
    ///
    /// `*output_len` is the room at `output` and receives the bytes written. Where the room is too small the call fails with
    /// DSMA_ERROR_BUFFER_TOO_SMALL, stores a length that is enough and consumes nothing; so NULL with a length of 0 asks for the
    /// length. `output` may be `input` or overlap it. The GCM tag goes to `params->tag`, apart from the output. All buffers stay the
    /// caller's. Any thread, any number at once on one key.
    unsafe extern "C" fn dsma_encrypt(
        key: *const dsma_key,
        params: *const dsma_cipher_params,
        input: *const u8,
        input_len: usize,
        output: *mut u8,
        output_len: *mut usize,
        error: *mut *mut dsma_error,
    ) -> dsma_result {
        let (key, params, length) = (reference(key, "key")?, reference(params, "params")?, length(output_len, "output_len")?);
        let (cipher, tag) = parts(params)?;
        let data = buffers(input, input_len, output, *length, tag)?;
        written(length, cipher::encrypt(key, &cipher, data, tag))
    }

    /// Decrypts `input` to `output`; everything else is as in dsma_encrypt. A tag or padding that does not hold is
    /// DSMA_ERROR_AUTHENTICATION, and the output then holds nothing of the text. The length to ask for is an upper bound: less may
    /// be written, as the padding goes away.
    unsafe extern "C" fn dsma_decrypt(
        key: *const dsma_key,
        params: *const dsma_cipher_params,
        input: *const u8,
        input_len: usize,
        output: *mut u8,
        output_len: *mut usize,
        error: *mut *mut dsma_error,
    ) -> dsma_result {
        let (key, params, length) = (reference(key, "key")?, reference(params, "params")?, length(output_len, "output_len")?);
        let (cipher, tag) = parts(params)?;
        let data = buffers(input, input_len, output, *length, tag)?;
        written(length, cipher::decrypt(key, &cipher, data, tag))
    }

    /// Signs `data`, or the digest in it, in the process where DSM lets the key out, else in DSM.
    ///
    /// `*signature_len` is the room at `signature` and receives the bytes written; too little room is as in dsma_encrypt, the length
    /// to ask for is the longest that a signature can have. The buffers stay the caller's and must not overlap. Any thread, any
    /// number at once on one key.
    unsafe extern "C" fn dsma_sign(
        key: *const dsma_key,
        params: *const dsma_signature_params,
        data: *const u8,
        data_len: usize,
        signature: *mut u8,
        signature_len: *mut usize,
        error: *mut *mut dsma_error,
    ) -> dsma_result {
        let (key, params, length) = (reference(key, "key")?, reference(params, "params")?, length(signature_len, "signature_len")?);
        let data = bytes(data, data_len, "data")?;
        apart(data, signature, *length, "signature")?;
        written(length, signature::sign(key, params, data, bytes_mut(signature, *length, "signature")?))
    }

    /// Checks a signature over `data`, or over the digest in it: DSMA_OK where it holds, DSMA_ERROR_SIGNATURE_INVALID where it does
    /// not, anything else where that could not be found out. The buffers stay the caller's. Any thread.
    unsafe extern "C" fn dsma_verify(
        key: *const dsma_key,
        params: *const dsma_signature_params,
        data: *const u8,
        data_len: usize,
        signature: *const u8,
        signature_len: usize,
        error: *mut *mut dsma_error,
    ) -> dsma_result {
        let (key, params) = (reference(key, "key")?, reference(params, "params")?);
        signature::verify(key, params, bytes(data, data_len, "data")?, bytes(signature, signature_len, "signature")?)
    }

    /// Fills `buffer` with random bytes of the library's own generator, fit for keys and IVs. Needs no client and no network; safe on
    /// both sides of a fork. Any thread.
    unsafe extern "C" fn dsma_random(buffer: *mut u8, buffer_len: usize, error: *mut *mut dsma_error) -> dsma_result {
        Ok(random::fill(bytes_mut(buffer, buffer_len, "buffer")?)?)
    }

    /// The error's sentence: what happened, to what, and what to do about it. UTF-8 without secrets; it is the error's and lasts until
    /// dsma_error_free. NULL gives "". Any thread.
    unsafe extern "C" fn dsma_error_message(error: *const dsma_error) -> *const c_char {
        error.as_ref().map_or(c"", dsma_error::message).as_ptr()
    }

    /// Frees an error; NULL is ignored. No other thread may be using it.
    unsafe extern "C" fn dsma_error_free(error: *mut dsma_error) {
        if !error.is_null() {
            drop(Box::from_raw(error));
        }
    }
}

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// Runs a shell's body inside the fork gate; `None` where it panicked. The panic's payload is not dropped: that could panic again.
fn barrier<R>(body: impl FnOnce() -> R) -> Option<R> {
    let guarded = || {
        let _inside = gate::enter();
        body()
    };
    catch_unwind(AssertUnwindSafe(guarded)).map_err(std::mem::forget).ok()
}

/// Turns the outcome into its number, and into an error object where the caller has a place for one.
///
/// # Safety
/// `error` is NULL or a place for a pointer.
unsafe fn report(outcome: Result<(), Failure>, error: *mut *mut dsma_error) -> dsma_result {
    let failure = outcome.err();
    if !error.is_null() {
        let object = failure.as_ref().map_or(ptr::null_mut(), |failure| Box::into_raw(Box::new(dsma_error::from(failure))));
        // SAFETY: not null, so by contract a place for a pointer; what was there is not read.
        unsafe { error.write(object) };
    }
    failure.map_or(dsma_result::DSMA_OK, |failure| failure.code())
}

/// Stores what a call came to in its in-out length. Other failures leave it as it was.
fn written(length: &mut usize, outcome: Result<usize, Failure>) -> Result<(), Failure> {
    match &outcome {
        Ok(written) => *length = *written,
        Err(Failure::TooSmall { needed }) => *length = *needed,
        Err(_) => {}
    }
    outcome.map(drop)
}

// --- the doors: each takes what C gave and the name to blame, and gives a type

/// # Safety
/// `pointer` is NULL, or valid and only read or internally synchronised for `'a`.
unsafe fn reference<'a, T>(pointer: *const T, name: &'static str) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or(Failure::Null(name))
}

/// # Safety
/// `length` is NULL or an initialised length that nobody else uses for `'a`.
unsafe fn length<'a>(length: *mut usize, name: &'static str) -> Result<&'a mut usize, Failure> {
    // SAFETY: the caller's promise.
    unsafe { length.as_mut() }.ok_or(Failure::Null(name))
}

/// A place for a handle, holding NULL until it gets one.
///
/// # Safety
/// `pointer` is NULL or writable, and nobody else uses it for `'a`.
unsafe fn place<'a, T>(pointer: *mut *mut T, name: &'static str) -> Result<&'a mut *mut T, Failure> {
    if pointer.is_null() {
        return Err(Failure::Null(name));
    }
    // SAFETY: not null, so writable by the caller's promise; it is initialised before the reference is made.
    unsafe {
        pointer.write(ptr::null_mut());
        Ok(&mut *pointer)
    }
}

/// A new handle: one count of its object.
fn handle<T>(object: Arc<T>) -> *mut T {
    Arc::into_raw(object).cast_mut()
}

/// The object behind a handle, without taking the handle's count.
///
/// # Safety
/// `pointer` is NULL or came from [`handle`] and has not been freed.
unsafe fn shared<T>(pointer: *const T, name: &'static str) -> Result<ManuallyDrop<Arc<T>>, Failure> {
    if pointer.is_null() {
        return Err(Failure::Null(name));
    }
    // SAFETY: the handle owns a count, which `ManuallyDrop` leaves to it.
    Ok(ManuallyDrop::new(unsafe { Arc::from_raw(pointer) }))
}

/// Gives a handle's count back.
///
/// # Safety
/// As for [`shared`], and the handle is not used again.
unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: the handle owns a count, and this is its last use.
        drop(unsafe { Arc::from_raw(pointer.cast_const()) });
    }
}

/// # Safety
/// `pointer` is NULL or `count` readable elements that nobody changes for `'a`.
unsafe fn list<'a, T>(pointer: *const T, count: usize, name: &'static str) -> Result<&'a [T], Failure> {
    check(pointer, count, name)?;
    // SAFETY: not null, not longer than an object can be, and readable by the caller's promise.
    Ok(if count == 0 { &[] } else { unsafe { slice::from_raw_parts(pointer, count) } })
}

/// # Safety
/// As for [`list`].
unsafe fn bytes<'a>(pointer: *const u8, len: usize, name: &'static str) -> Result<&'a [u8], Failure> {
    // SAFETY: the caller's promise.
    unsafe { list(pointer, len, name) }
}

/// # Safety
/// `pointer` is NULL or `len` writable bytes that nobody else uses for `'a`. They are only written, so what they hold does not matter.
unsafe fn bytes_mut<'a>(pointer: *mut u8, len: usize, name: &'static str) -> Result<&'a mut [u8], Failure> {
    check(pointer, len, name)?;
    // SAFETY: not null, not longer than an object can be, and writable by the caller's promise.
    Ok(if len == 0 { &mut [] } else { unsafe { slice::from_raw_parts_mut(pointer, len) } })
}

/// # Safety
/// `pointer` is NULL or a NUL-terminated string that nobody changes for `'a`.
unsafe fn text<'a>(pointer: *const c_char, name: &'static str) -> Result<&'a str, Failure> {
    if pointer.is_null() {
        return Err(Failure::Null(name));
    }
    // SAFETY: not null, so a string by the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Failure::Argument { name, problem: "is not UTF-8; give UTF-8 text" })
}

/// # Safety
/// `pointer` is a NUL-terminated string that nobody changes for `'a`.
unsafe fn path<'a>(pointer: *const c_char) -> &'a Path {
    // SAFETY: the caller's promise.
    Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(pointer) }.to_bytes()))
}

/// The parameters as types, with the tag apart because it is written.
///
/// # Safety
/// Each pointer in `params` is NULL or valid for its length for `'a`; the tag is writable.
unsafe fn parts<'a>(params: &dsma_cipher_params) -> Result<(CipherParams<'a>, &'a mut [u8]), Failure> {
    // SAFETY: the caller's promise.
    let (iv, aad, label) = unsafe {
        (
            bytes(params.iv, params.iv_len, "params.iv")?,
            bytes(params.aad, params.aad_len, "params.aad")?,
            bytes(params.label, params.label_len, "params.label")?,
        )
    };
    for other in [iv, aad, label] {
        apart(other, params.tag, params.tag_len, "params.tag")?;
    }
    // SAFETY: the caller's promise; it overlaps nothing that the cipher reads.
    let tag = unsafe { bytes_mut(params.tag, params.tag_len, "params.tag")? };
    Ok((params.read(iv, aad, label)?, tag))
}

/// # Safety
/// `input` is NULL or readable and `output` NULL or writable for its length for `'a`; nobody else uses them.
unsafe fn buffers<'a>(input: *const u8, input_len: usize, output: *mut u8, output_len: usize, tag: &[u8]) -> Result<Buffers<'a>, Failure> {
    check(input, input_len, "input")?;
    check(output, output_len, "output")?;
    apart(tag, input, input_len, "input")?;
    // Room beyond the text is often where the tag lies, and is not touched.
    apart(tag, output, output_len.min(input_len), "output")?;
    // SAFETY: the caller's promise; the tag overlaps nothing of what a mode with a tag reads or writes.
    Ok(unsafe { Buffers::from_raw(input, input_len, output, output_len) })
}

/// Refuses what can be no memory of a caller: NULL with a length, or more than an object can hold.
fn check<T>(pointer: *const T, count: usize, name: &'static str) -> Result<(), Failure> {
    if pointer.is_null() && count > 0 {
        return Err(Failure::Null(name));
    }
    match count.checked_mul(size_of::<T>()) {
        Some(size) if isize::try_from(size).is_ok() => Ok(()),
        _ => Err(Failure::Argument { name, problem: "has an impossible length; give the number of bytes at the pointer" }),
    }
}

/// Refuses memory that is to be written and overlaps what is read.
fn apart(read: &[u8], written: *const u8, len: usize, name: &'static str) -> Result<(), Failure> {
    let (start, written) = (read.as_ptr().addr(), written.addr());
    if read.is_empty() || len == 0 || written >= start + read.len() || start >= written.saturating_add(len) {
        return Ok(());
    }
    Err(Failure::Argument { name, problem: "overlaps another buffer of the call; give it memory of its own" })
}

#[cfg(test)]
mod tests {
    use super::*;

    shells! {
        unsafe extern "C" fn dsma_test_panic(error: *mut *mut dsma_error) -> dsma_result {
            panic!("on purpose")
        }

        unsafe extern "C" fn dsma_test_panic_quietly() -> *const c_char {
            panic!("on purpose")
        }
    }

    #[test]
    fn a_panic_becomes_an_error_and_leaves_the_gate() {
        let mut error = ptr::null_mut();
        // SAFETY: a place, then none.
        let codes = unsafe { [dsma_test_panic(&mut error), dsma_test_panic(ptr::null_mut())] };
        assert_eq!(codes, [dsma_result::DSMA_ERROR_INTERNAL; 2]);
        // SAFETY: the error that the first call made.
        unsafe {
            assert!(CStr::from_ptr(dsma_error_message(error)).to_bytes().starts_with(b"the library failed"));
            dsma_error_free(error);
            assert!(dsma_test_panic_quietly().is_null());
        }
        // Would wait for ever if a pass were left.
        gate::close();
        gate::open_parent();
    }

    #[test]
    fn only_written_memory_that_is_read_overlaps() {
        let memory = [0_u8; 32];
        let at = |from: usize| memory[from..].as_ptr();
        assert!(apart(&memory[..16], at(16), 16, "tag").is_ok());
        assert!(apart(&memory[16..], at(0), 16, "tag").is_ok());
        assert!(apart(&memory[..16], at(15), 1, "tag").is_err());
        assert!(apart(&memory[8..16], at(0), 32, "tag").is_err());
        assert!(apart(&memory[..0], at(0), 32, "tag").is_ok());
        assert!(apart(&memory[..16], at(0), 0, "tag").is_ok());
    }
}
