//! Start and end, tables, slots, tokens, mechanisms, random numbers: traps 9, 10, 11, 15, 25, 29, 30 and 31.

use std::ffi::{CStr, c_void};
use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::{Module, bytes, call, init_args, nowhere, ok};

#[test]
fn impossible_lengths_are_bad_arguments() {
    let bench = shared();
    let session = bench.module.logged_in();
    let impossible = CK_UNAVAILABLE_INFORMATION;
    let mut len = impossible;
    let sha256 = || {
        let mut mechanism = CK_MECHANISM { mechanism: CKM_SHA256, pParameter: null_mut(), ulParameterLen: 0 };
        assert_eq!(call!(bench.module, C_DigestInit(session, &raw mut mechanism)), CKR_OK);
    };
    sha256();
    assert_eq!(call!(bench.module, C_DigestUpdate(session, nowhere(), impossible)), CKR_ARGUMENTS_BAD);
    sha256();
    assert_eq!(call!(bench.module, C_DigestUpdate(session, null_mut(), 5)), CKR_ARGUMENTS_BAD);
    sha256();
    assert_eq!(call!(bench.module, C_Digest(session, bytes(b"a"), 1, nowhere(), &raw mut len)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(bench.module, C_GenerateRandom(session, nowhere(), impossible)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(bench.module, C_GenerateRandom(session, null_mut(), 5)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(bench.module, C_FindObjectsInit(session, null_mut(), 1)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(bench.module, C_FindObjectsInit(session, nowhere().cast(), impossible)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(bench.module, C_Login(session, CKU_USER, nowhere(), impossible)), CKR_ARGUMENTS_BAD);
}

/// Packed structures of other languages end up at any address.
#[test]
fn misaligned_structures_are_read() {
    let bench = shared();
    let (module, session, key) = bench.use_key(&bench.aes());
    let mut memory = [0_u8; 256];
    let at = |offset: usize| memory.as_ptr().wrapping_add(offset).cast_mut();
    let (template, class, params, mechanism, len) = (at(1), at(33), at(41), at(97), at(123));
    let gcm = CK_GCM_PARAMS { pIv: at(200), ulIvLen: 12, ulIvBits: 96, pAAD: null_mut(), ulAADLen: 0, ulTagBits: 128 };
    // SAFETY: all of it lies within the array, apart from each other; nobody else looks at it.
    unsafe {
        template.cast::<CK_ATTRIBUTE>().write_unaligned(CK_ATTRIBUTE { type_: CKA_CLASS, pValue: class.cast(), ulValueLen: 8 });
        params.cast::<CK_GCM_PARAMS>().write_unaligned(gcm);
        let header =
            CK_MECHANISM { mechanism: CKM_AES_GCM, pParameter: params.cast(), ulParameterLen: size_of::<CK_GCM_PARAMS>() as CK_ULONG };
        mechanism.cast::<CK_MECHANISM>().write_unaligned(header);
        len.cast::<CK_ULONG>().write_unaligned(32);
    }
    assert_eq!(call!(module, C_GetAttributeValue(session, key, template.cast(), 1)), CKR_OK);
    assert_eq!(call!(module, C_EncryptInit(session, mechanism.cast(), key)), CKR_OK);
    assert_eq!(call!(module, C_Encrypt(session, bytes(b"data"), 4, at(161), len.cast())), CKR_OK);
    // SAFETY: as above.
    let (class, len) = unsafe { (class.cast::<CK_ULONG>().read_unaligned(), len.cast::<CK_ULONG>().read_unaligned()) };
    assert_eq!((class, len), (CKO_SECRET_KEY, 20));
    memory.fill(0);
}

unsafe extern "C" fn create_mutex(_: *mut *mut c_void) -> CK_RV {
    panic!("the library uses the system's locks")
}

unsafe extern "C" fn use_mutex(_: *mut c_void) -> CK_RV {
    panic!("the library uses the system's locks")
}

#[test]
fn trap_10_what_callers_say_about_threads() {
    let all = |flags| CK_C_INITIALIZE_ARGS {
        CreateMutex: Some(create_mutex),
        DestroyMutex: Some(use_mutex),
        LockMutex: Some(use_mutex),
        UnlockMutex: Some(use_mutex),
        ..init_args(flags)
    };
    let some = CK_C_INITIALIZE_ARGS { LockMutex: None, ..all(CKF_OS_LOCKING_OK) };
    let config = shared().stack.pkcs11_conf().to_string_lossy().into_owned() + "\0";
    for (args, expected) in [
        // NSS's way.
        (all(CKF_OS_LOCKING_OK | CKF_LIBRARY_CANT_CREATE_OS_THREADS), CKR_OK),
        (init_args(CKF_OS_LOCKING_OK), CKR_OK),
        (init_args(0), CKR_OK),
        (init_args(CKF_LIBRARY_CANT_CREATE_OS_THREADS), CKR_OK),
        (all(0), CKR_CANT_LOCK),
        (some, CKR_ARGUMENTS_BAD),
    ] {
        let module = Module::load();
        let mut args = CK_C_INITIALIZE_ARGS { pReserved: bytes(config.as_bytes()).cast(), ..args };
        assert_eq!(call!(module, C_Initialize((&raw mut args).cast())), expected);
        if expected == CKR_OK {
            assert_eq!(call!(module, C_Initialize((&raw mut args).cast())), CKR_CRYPTOKI_ALREADY_INITIALIZED);
            assert_eq!(call!(module, C_Initialize(null_mut())), CKR_CRYPTOKI_ALREADY_INITIALIZED);
        }
    }
}

#[test]
fn trap_11_finalize() {
    let module = shared().another();
    let session = module.logged_in();
    assert_eq!(call!(module, C_Finalize(nowhere().cast())), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_Finalize(null_mut())), CKR_OK);
    assert_eq!(call!(module, C_Finalize(null_mut())), CKR_CRYPTOKI_NOT_INITIALIZED);
    assert_eq!(module.initialize(&shared().stack.pkcs11_conf()), CKR_OK);
    // A session does not outlive the end of the library, and its handle is not given out again.
    assert_eq!(call!(module, C_CloseSession(session)), CKR_SESSION_HANDLE_INVALID);
    assert_ne!(module.open(CKF_SERIAL_SESSION), session);
}

#[test]
fn trap_15_lists_tell_their_count() {
    let module = &shared().module;
    let list = |call: &dyn Fn(*mut CK_ULONG, *mut CK_ULONG) -> CK_RV| {
        let mut count = 0;
        assert_eq!(call(null_mut(), &raw mut count), CKR_OK);
        assert!(count > 0);
        let mut short = count - 1;
        let mut items = vec![0; count as usize * 3];
        assert_eq!(call(items.as_mut_ptr(), &raw mut short), CKR_BUFFER_TOO_SMALL);
        assert_eq!(short, count);
        assert_eq!(call(items.as_mut_ptr(), &raw mut short), CKR_OK);
        assert_eq!(call(items.as_mut_ptr(), null_mut()), CKR_ARGUMENTS_BAD);
    };
    list(&|items, count| call!(module, C_GetSlotList(CK_TRUE, items, count)));
    list(&|items, count| call!(module, C_GetMechanismList(0, items, count)));
    list(&|items, count| call!(module, C_GetInterfaceList(items.cast(), count)));
}

#[test]
fn trap_25_token_and_library_information() {
    let module = shared().another();
    // SAFETY: all of these are plain numbers and bytes.
    let (mut info, mut slot, mut token) = unsafe { std::mem::zeroed::<(CK_INFO, CK_SLOT_INFO, CK_TOKEN_INFO)>() };
    assert_eq!(call!(module, C_GetInfo(&raw mut info)), CKR_OK);
    assert_eq!((info.cryptokiVersion.major, info.cryptokiVersion.minor), (3, 2));
    assert_eq!(call!(module, C_GetSlotInfo(0, &raw mut slot)), CKR_OK);
    assert_eq!(slot.flags, CKF_TOKEN_PRESENT);
    let session = module.open(CKF_SERIAL_SESSION);
    module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION);
    assert_eq!(call!(module, C_GetTokenInfo(0, &raw mut token)), CKR_OK);
    assert_eq!(&token.label, b"Fortanix Token                  ");
    assert_eq!(token.flags & CKF_LOGIN_REQUIRED, CKF_LOGIN_REQUIRED);
    assert_eq!(token.flags & CKF_PROTECTED_AUTHENTICATION_PATH, CKF_PROTECTED_AUTHENTICATION_PATH);
    assert_eq!((token.ulSessionCount, token.ulRwSessionCount), (2, 1));
    assert_eq!((token.ulMaxSessionCount, token.ulMaxRwSessionCount), (CK_EFFECTIVELY_INFINITE, CK_EFFECTIVELY_INFINITE));
    assert_eq!(token.ulTotalPublicMemory, CK_UNAVAILABLE_INFORMATION);
    assert!(token.ulMaxPinLen > 200 && token.ulMinPinLen == 0);
    assert_eq!(call!(module, C_CloseSession(session)), CKR_OK);
    for field in [&info.manufacturerID[..], &info.libraryDescription, &slot.slotDescription, &token.model, &token.serialNumber] {
        assert!(field.iter().all(|byte| (0x20..0x7f).contains(byte)), "{field:?}");
    }
    // The serial number is the same in every process.
    let (serial, other) = (token.serialNumber, shared().another());
    assert_eq!(call!(other, C_GetTokenInfo(0, &raw mut token)), CKR_OK);
    assert_eq!(token.serialNumber, serial);
    for code in [
        call!(module, C_GetSlotInfo(1, &raw mut slot)),
        call!(module, C_GetTokenInfo(CK_UNAVAILABLE_INFORMATION, &raw mut token)),
        call!(module, C_GetMechanismList(7, null_mut(), null_mut())),
        call!(module, C_CloseAllSessions(7)),
    ] {
        assert_eq!(code, CKR_SLOT_ID_INVALID);
    }
}

#[test]
fn mechanisms_say_what_they_do() {
    let module = &shared().module;
    let about = |kind| {
        let mut info = CK_MECHANISM_INFO::default();
        ok(call!(module, C_GetMechanismInfo(0, kind, &raw mut info))).map(|()| info)
    };
    assert_eq!(about(0x00ff_ffff).err(), Some(CKR_MECHANISM_INVALID));
    let gcm = about(CKM_AES_GCM).expect("GCM is there");
    let functions = CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP | CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE;
    assert_eq!((gcm.ulMinKeySize, gcm.ulMaxKeySize, gcm.flags), (16, 32, functions));
    let ecdsa = about(CKM_ECDSA).expect("ECDSA is there");
    assert_eq!(ecdsa.flags & (CKF_SIGN | CKF_VERIFY | CKF_ENCRYPT), CKF_SIGN | CKF_VERIFY);
}

#[test]
fn trap_29_random_numbers() {
    let module = &shared().module;
    let session = module.logged_in();
    let draw = || {
        let mut random = [0; 32];
        assert_eq!(call!(module, C_GenerateRandom(session, random.as_mut_ptr(), 32)), CKR_OK);
        random
    };
    assert_ne!(draw(), draw());
    assert_eq!(call!(module, C_GenerateRandom(session, null_mut(), 0)), CKR_OK);
    assert_eq!(call!(module, C_GenerateRandom(0, null_mut(), 0)), CKR_SESSION_HANDLE_INVALID);
    assert_eq!(call!(module, C_SeedRandom(session, bytes(b"seed"), 4)), CKR_RANDOM_SEED_NOT_SUPPORTED);
}

#[test]
fn trap_30_interfaces_and_their_versions() {
    let module = Module::load();
    let find = |name: Option<&CStr>, version: Option<(u8, u8)>, flags| {
        let mut wanted = version.map(|(major, minor)| CK_VERSION { major, minor });
        let mut interface = null_mut();
        let name = name.map_or(null_mut(), |name| name.as_ptr().cast_mut().cast());
        let version = wanted.as_mut().map_or(null_mut(), std::ptr::from_mut);
        ok(call!(module, C_GetInterface(name, version, &raw mut interface, flags)))?;
        // SAFETY: the call succeeded, so the pointers are to an interface and a table that begins with its version.
        let (version, flags) = unsafe { (*(*interface).pFunctionList.cast::<CK_VERSION>(), (*interface).flags) };
        assert_eq!(flags, CKF_INTERFACE_FORK_SAFE);
        Ok((version.major, version.minor))
    };
    for version in [(2, 40), (3, 0), (3, 2)] {
        assert_eq!(find(Some(c"PKCS 11"), Some(version), CKF_INTERFACE_FORK_SAFE), Ok(version));
    }
    assert_eq!(find(Some(c"PKCS 11"), None, 0), Ok((3, 2)));
    assert_eq!(find(None, None, 0), Ok((3, 2)));
    for (name, version, flags) in
        [(c"PKCS 1", None, 0), (c"PKCS 11 ", None, 0), (c"PKCS 11", Some((3, 1)), 0), (c"PKCS 11", None, CKF_INTERFACE_FORK_SAFE | 2)]
    {
        assert_eq!(find(Some(name), version, flags), Err(CKR_FUNCTION_FAILED), "{name:?} {version:?} {flags}");
    }
    assert_eq!(call!(module, C_GetInterface(null_mut(), null_mut(), null_mut(), 0)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_GetFunctionList(null_mut())), CKR_ARGUMENTS_BAD);
    let mut list = null_mut();
    assert_eq!(call!(module, C_GetFunctionList(&raw mut list)), CKR_OK);
    // SAFETY: the call succeeded.
    let version = unsafe { (*list).version };
    assert_eq!((version.major, version.minor), (2, 40));
}

#[test]
fn trap_31_parallel_functions() {
    let module = &shared().module;
    let session = module.logged_in();
    assert_eq!(call!(module, C_GetFunctionStatus(session)), CKR_FUNCTION_NOT_PARALLEL);
    assert_eq!(call!(module, C_CancelFunction(session)), CKR_FUNCTION_NOT_PARALLEL);
}
