//! The interface "Vendor DSM Accelerator": batches and the key cache. The structures are written out here as a C program sees them in
//! `include/dsma_pkcs11.h`; a C compiler compares the two.

use std::process::Command;
use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::{Mechanism, Module, bytes, call};

#[repr(C)]
#[derive(Clone, Copy)]
struct Item {
    input: *mut u8,
    input_len: CK_ULONG,
    output: *mut u8,
    output_len: CK_ULONG,
    mechanism: *mut CK_MECHANISM,
    result: CK_RV,
}

type Batch = unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE, *mut Item, CK_ULONG) -> CK_RV;

#[repr(C)]
struct Functions {
    version: CK_VERSION,
    encrypt: Batch,
    decrypt: Batch,
    sign: Batch,
    cache_clear: unsafe extern "C" fn(CK_SLOT_ID, *mut CK_ULONG) -> CK_RV,
    cache_stats: unsafe extern "C" fn(CK_SLOT_ID, *mut [CK_ULONG; 5]) -> CK_RV,
}

fn functions(module: &Module) -> &Functions {
    let mut interface = null_mut();
    let (name, mut version) = (c"Vendor DSM Accelerator", CK_VERSION { major: 1, minor: 0 });
    let name = name.as_ptr().cast_mut().cast();
    assert_eq!(call!(module, C_GetInterface(name, &raw mut version, &raw mut interface, CKF_INTERFACE_FORK_SAFE)), CKR_OK);
    // SAFETY: the call succeeded, so the interface is the one that the header declares, static in the library.
    unsafe { &*(*interface).pFunctionList.cast::<Functions>() }
}

fn item(input: &[u8], output: &mut [u8]) -> Item {
    let (place, len) = (output.as_mut_ptr(), output.len() as CK_ULONG);
    Item { input: bytes(input), input_len: input.len() as CK_ULONG, output: place, output_len: len, mechanism: null_mut(), result: 99 }
}

#[test]
fn a_batch_is_as_good_as_its_items() {
    let bench = shared();
    let (aes, ec) = (bench.aes(), bench.ec());
    let (module, session, [aes, private]) = bench.use_keys([&aes, &ec]);
    let public = module.object(session, CKO_PUBLIC_KEY, &ec.label);
    let vendor = functions(&module);
    let texts: Vec<Vec<u8>> = (0..100).map(|len| vec![len; usize::from(len)]).collect();
    let ivs: Vec<[u8; 16]> = (0..100).map(|index| [index; 16]).collect();
    let mut mechanisms: Vec<CK_MECHANISM> =
        ivs.iter().map(|iv| CK_MECHANISM { mechanism: CKM_AES_CBC_PAD, pParameter: bytes(iv).cast(), ulParameterLen: 16 }).collect();
    let mut places = vec![[0_u8; 128]; 100];
    let mut items: Vec<Item> = texts.iter().zip(&mut places).map(|(text, place)| item(text, place)).collect();
    for (item, mechanism) in items.iter_mut().zip(&mut mechanisms) {
        item.mechanism = mechanism;
    }
    // Two that fail do not harm the others.
    items[7].output_len = 1;
    mechanisms[9].ulParameterLen = 15;
    // SAFETY: all pointers are to memory that lives over the call.
    assert_eq!(unsafe { (vendor.encrypt)(session, null_mut(), aes, items.as_mut_ptr(), 100) }, CKR_OK);
    for (index, item) in items.iter().enumerate() {
        let expected = match index {
            7 => CKR_BUFFER_TOO_SMALL,
            9 => CKR_MECHANISM_PARAM_INVALID,
            _ => CKR_OK,
        };
        assert_eq!(item.result, expected, "{index}");
        if expected == CKR_OK {
            let mechanism = Mechanism::With(CKM_AES_CBC_PAD, ivs[index].to_vec());
            let encrypted = &places[index][..item.output_len as usize];
            assert_eq!(module.decrypt(session, &mechanism, aes, encrypted).as_ref(), Ok(&texts[index]), "{index}");
        }
    }
    assert_eq!(items[7].output_len, 16);

    // The call's own mechanism for all, in place, while the session signs something else.
    Mechanism::Plain(CKM_SHA256).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
    let mut memory = [[5_u8; 32]; 3];
    let mut items: Vec<Item> = memory
        .iter_mut()
        .map(|block| Item {
            input: block.as_mut_ptr(),
            input_len: 32,
            output: block.as_mut_ptr(),
            output_len: 32,
            mechanism: null_mut(),
            result: 99,
        })
        .collect();
    for function in [vendor.encrypt, vendor.decrypt] {
        // SAFETY: as above.
        let code = Mechanism::Plain(CKM_AES_ECB).with(|m| unsafe { function(session, m, aes, items.as_mut_ptr(), 3) });
        assert_eq!((code, items.iter().all(|item| item.result == CKR_OK)), (CKR_OK, true));
    }
    assert_eq!(memory, [[5; 32]; 3]);
    assert_eq!(call!(module, C_DigestUpdate(session, bytes(b"abc"), 3)), CKR_OK);

    let mut signatures = [[0_u8; 64]; 4];
    let mut items: Vec<Item> = signatures.iter_mut().map(|place| item(b"some data", place)).collect();
    let mechanism = Mechanism::Plain(CKM_ECDSA_SHA256);
    // SAFETY: as above.
    assert_eq!(mechanism.with(|m| unsafe { (vendor.sign)(session, m, private, items.as_mut_ptr(), 4) }), CKR_OK);
    for (item, signature) in items.iter().zip(&signatures) {
        assert_eq!((item.result, item.output_len), (CKR_OK, 64));
        assert_eq!(module.verify(session, &mechanism, public, b"some data", signature), CKR_OK);
    }
}

#[test]
fn bad_batches() {
    let bench = shared();
    let (module, session, aes) = bench.use_key(&bench.aes());
    let vendor = functions(&module);
    let ecb = Mechanism::Plain(CKM_AES_ECB);
    let run = |session, key, items: *mut Item, count| {
        // SAFETY: the pointers are valid, or NULL where that has an answer.
        ecb.with(|m| unsafe { (vendor.encrypt)(session, m, key, items, count) })
    };
    assert_eq!(run(session, aes, null_mut(), 0), CKR_OK);
    assert_eq!(run(session, aes, null_mut(), 1), CKR_ARGUMENTS_BAD);
    assert_eq!(run(session, aes, null_mut(), CK_UNAVAILABLE_INFORMATION), CKR_ARGUMENTS_BAD);
    assert_eq!(run(0, aes, null_mut(), 0), CKR_SESSION_HANDLE_INVALID);
    let mut place = [0; 16];
    let mut one = item(&[0; 16], &mut place);
    assert_eq!((run(session, 0, &raw mut one, 1), one.result), (CKR_OK, CKR_KEY_HANDLE_INVALID));
    one.input = null_mut();
    assert_eq!((run(session, aes, &raw mut one, 1), one.result), (CKR_OK, CKR_ARGUMENTS_BAD));
    // SAFETY: the pointer is valid over the call.
    assert_eq!(unsafe { (vendor.encrypt)(session, null_mut(), aes, &raw mut one, 1) }, CKR_OK);
    assert_eq!(one.result, CKR_ARGUMENTS_BAD, "no mechanism at all");
}

#[test]
fn the_cache_is_cleared_and_counted() {
    let bench = shared();
    let key = bench.aes();
    let (module, session, aes) = bench.use_key(&key);
    let vendor = functions(&module);
    let mut stats = [0; 5];
    for round in 1..=2 {
        assert!(module.encrypt(session, &Mechanism::Plain(CKM_AES_ECB), aes, &[0; 16]).is_ok());
        assert_eq!(bench.stack.dsm().exports_of(&key.kid), round);
        // SAFETY: the pointers are valid over the calls.
        unsafe {
            assert_eq!((vendor.cache_stats)(0, &raw mut stats), CKR_OK);
            assert_eq!((stats[0], stats[2]), (1, round as CK_ULONG), "keys, exports");
            let mut cleared = 0;
            assert_eq!(((vendor.cache_clear)(0, &raw mut cleared), cleared), (CKR_OK, 1));
        }
    }
    // SAFETY: NULL has an answer.
    unsafe {
        assert_eq!((vendor.cache_clear)(0, null_mut()), CKR_ARGUMENTS_BAD);
        assert_eq!((vendor.cache_stats)(77, &raw mut stats), CKR_SLOT_ID_INVALID);
    }
}

/// The header compiles by itself, in C and C++, and says the same sizes and offsets.
#[test]
fn the_header_says_the_same() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let include = concat!(env!("CARGO_MANIFEST_DIR"), "/../include");
    let program = format!(
        "#include <stddef.h>
        typedef unsigned char CK_BYTE; typedef CK_BYTE *CK_BYTE_PTR; typedef unsigned long CK_ULONG; typedef CK_ULONG *CK_ULONG_PTR;
        typedef CK_ULONG CK_RV, CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_SLOT_ID;
        typedef struct {{ CK_BYTE major, minor; }} CK_VERSION; typedef void *CK_MECHANISM_PTR;
        #define CKM_VENDOR_DEFINED 0x80000000UL
        #include \"dsma_pkcs11.h\"
        typedef char a[sizeof(CK_DSMA_BATCH_ITEM) == {} ? 1 : -1];
        typedef char b[offsetof(CK_DSMA_BATCH_ITEM, result) == {} ? 1 : -1];
        typedef char c[sizeof(CK_DSMA_FUNCTIONS) == {} ? 1 : -1];
        typedef char d[CKM_DSMA_FF1 == {}UL ? 1 : -1];
        typedef char e[sizeof(CK_DSMA_CACHE_STATS) == 5 * sizeof(CK_ULONG) ? 1 : -1];",
        size_of::<Item>(),
        std::mem::offset_of!(Item, result),
        size_of::<Functions>(),
        CKM_VENDOR_DEFINED | 0x4453_4d01,
    );
    for (name, compiler) in [("check.c", "cc"), ("check.cc", "c++")] {
        std::fs::write(dir.path().join(name), &program).expect("a file is written");
        let outcome =
            Command::new(compiler).args(["-fsyntax-only", "-Wall", "-Werror", "-I", include, name]).current_dir(dir.path()).output();
        let outcome = outcome.expect("a C compiler");
        assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    }
}
