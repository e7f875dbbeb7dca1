//! Every `C_` function, once: from this list come the exported symbols and the three tables.
//!
//! A function is a line: its C parameters, and what it answers, with the pointers made into types. [`entry`] does the rest. What
//! this library does not have answers `CKR_FUNCTION_NOT_SUPPORTED` (callers call blindly: an entry is never NULL).

use std::ffi::c_void;

use cryptoki_sys::*;

use super::interfaces::{find_interface, get_function_list, get_interface_list};
use super::{Error, Fill, InitArgs, Input, List, Mechanism, MessageParameter, Output, Place, Template};
use crate::pkcs11::{
    derivation, digest, dual, encapsulation, encryption, entry, general, keygen, message_encryption, message_signing, objects, random,
    recovery, sessions, signing, slots, verify_signature, wrapping,
};

/// The version that [`general::get_info`] and the newest table name.
pub(in crate::pkcs11) const NEWEST: CK_VERSION = CK_VERSION { major: 3, minor: 2 };

/// Generates the exported functions and the tables from the list.
macro_rules! functions {
    (
        any_time { $($any:ident ($($any_arg:ident: $any_type:ty),*) = $any_body:expr;)* }
        v2_40 { $($a:ident ($($a_arg:ident: $a_type:ty),*) = $a_body:expr;)* }
        v3_0 { $($b:ident ($($b_arg:ident: $b_type:ty),*) = $b_body:expr;)* }
        v3_2 { $($c:ident ($($c_arg:ident: $c_type:ty),*) = $c_body:expr;)* }
    ) => {
        $(functions!(@export call_any_time $any ($($any_arg: $any_type),*) $any_body);)*
        $(functions!(@export call $a ($($a_arg: $a_type),*) $a_body);)*
        $(functions!(@export call $b ($($b_arg: $b_type),*) $b_body);)*
        $(functions!(@export call $c ($($c_arg: $c_type),*) $c_body);)*

        /// The table of 2.40.
        pub(super) static V2_40: CK_FUNCTION_LIST = CK_FUNCTION_LIST {
            version: CK_VERSION { major: 2, minor: 40 },
            C_Initialize: Some(C_Initialize),
            C_GetFunctionList: Some(C_GetFunctionList),
            $($a: Some($a)),*
        };

        /// The table of 3.0.
        pub(super) static V3_0: CK_FUNCTION_LIST_3_0 = CK_FUNCTION_LIST_3_0 {
            version: CK_VERSION { major: 3, minor: 0 },
            $($any: Some($any),)*
            $($a: Some($a),)*
            $($b: Some($b)),*
        };

        /// The table of 3.2.
        pub(super) static V3_2: CK_FUNCTION_LIST_3_2 = CK_FUNCTION_LIST_3_2 {
            version: NEWEST,
            $($any: Some($any),)*
            $($a: Some($a),)*
            $($b: Some($b),)*
            $($c: Some($c)),*
        };
    };
    (@export $entry:ident $name:ident ($($arg:ident: $type:ty),*) $body:expr) => {
        #[doc = concat!("`", stringify!($name), "` of the standard; the contract of its pointers is the standard's.")]
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, unused_variables, unused_unsafe, clippy::too_many_arguments, reason = "shape and name are the standard's")]
        pub(super) unsafe extern "C" fn $name($($arg: $type),*) -> CK_RV {
            // SAFETY: the body only wraps the caller's pointers, whose contract is the one that the wrappers ask for.
            entry::$entry(|| unsafe { $body })
        }
    };
}

/// What a function of the standard answers that this library does not have.
const NOT_SUPPORTED: super::Result = Err(Error::FunctionNotSupported);

functions! {
    any_time {
        C_Initialize(args: *mut c_void) = general::initialize(&InitArgs::new(args));
        C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) = get_function_list(Place::new(list));
        C_GetInterfaceList(interfaces: *mut CK_INTERFACE, count: *mut CK_ULONG) = get_interface_list(List::new(interfaces, count));
        C_GetInterface(name: *mut CK_UTF8CHAR, version: *mut CK_VERSION, interface: *mut *mut CK_INTERFACE, flags: CK_FLAGS) =
            find_interface(name, version, Place::new(interface), flags);
    }
    v2_40 {
        C_Finalize(reserved: *mut c_void) = general::finalize(reserved.is_null());
        C_GetInfo(info: *mut CK_INFO) = general::get_info(Place::new(info));

        C_GetSlotList(present: CK_BBOOL, slots: *mut CK_SLOT_ID, count: *mut CK_ULONG) =
            slots::get_slot_list(present != CK_FALSE, List::new(slots, count));
        C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) = slots::get_slot_info(slot, Place::new(info));
        C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) = slots::get_token_info(slot, Place::new(info));
        C_GetMechanismList(slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: *mut CK_ULONG) =
            slots::get_mechanism_list(slot, List::new(list, count));
        C_GetMechanismInfo(slot: CK_SLOT_ID, kind: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO) =
            slots::get_mechanism_info(slot, kind, Place::new(info));
        C_InitToken(slot: CK_SLOT_ID, pin: *mut CK_UTF8CHAR, pin_len: CK_ULONG, label: *mut CK_UTF8CHAR) =
            slots::init_token(slot, Input::new(pin, pin_len), Input::new(label, 32));
        C_InitPIN(session: CK_SESSION_HANDLE, pin: *mut CK_UTF8CHAR, pin_len: CK_ULONG) =
            sessions::init_pin(session, Input::new(pin, pin_len));
        C_SetPIN(session: CK_SESSION_HANDLE, old: *mut CK_UTF8CHAR, old_len: CK_ULONG, new: *mut CK_UTF8CHAR, new_len: CK_ULONG) =
            sessions::set_pin(session, Input::new(old, old_len), Input::new(new, new_len));
        C_WaitForSlotEvent(flags: CK_FLAGS, slot: *mut CK_SLOT_ID, reserved: *mut c_void) =
            slots::wait_for_slot_event(flags, Place::new(slot), reserved.is_null());

        C_OpenSession(slot: CK_SLOT_ID, flags: CK_FLAGS, application: *mut c_void, notify: CK_NOTIFY, session: *mut CK_SESSION_HANDLE) =
            sessions::open_session(slot, flags, Place::new(session));
        C_CloseSession(session: CK_SESSION_HANDLE) = sessions::close_session(session);
        C_CloseAllSessions(slot: CK_SLOT_ID) = sessions::close_all_sessions(slot);
        C_GetSessionInfo(session: CK_SESSION_HANDLE, info: *mut CK_SESSION_INFO) = sessions::get_session_info(session, Place::new(info));
        C_GetOperationState(session: CK_SESSION_HANDLE, state: *mut CK_BYTE, state_len: *mut CK_ULONG) = digest::get_operation_state(session, Output::new(state, state_len));
        C_SetOperationState(session: CK_SESSION_HANDLE, state: *mut CK_BYTE, state_len: CK_ULONG, encryption_key: CK_OBJECT_HANDLE,
            authentication_key: CK_OBJECT_HANDLE) =
            digest::set_operation_state(session, Input::new(state, state_len), encryption_key != 0 || authentication_key != 0);
        C_Login(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, pin_len: CK_ULONG) =
            sessions::login(session, user, Input::new(pin, pin_len));
        C_Logout(session: CK_SESSION_HANDLE) = sessions::logout(session);

        C_CreateObject(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut CK_OBJECT_HANDLE) =
            objects::create_object(session, &Template::new(template, count), Place::new(object));
        C_CopyObject(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG,
            copy: *mut CK_OBJECT_HANDLE) = objects::copy_object(session, object, &Template::new(template, count), Place::new(copy));
        C_DestroyObject(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) = objects::destroy_object(session, object);
        C_GetObjectSize(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, size: *mut CK_ULONG) =
            objects::get_object_size(session, object, Place::new(size));
        C_GetAttributeValue(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG) =
            objects::get_attribute_value(session, object, &Template::new(template, count));
        C_SetAttributeValue(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG) =
            objects::set_attribute_value(session, object, &Template::new(template, count));
        C_FindObjectsInit(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG) =
            objects::find_objects_init(session, &Template::new(template, count));
        C_FindObjects(session: CK_SESSION_HANDLE, objects: *mut CK_OBJECT_HANDLE, limit: CK_ULONG, count: *mut CK_ULONG) =
            objects::find_objects(session, List::new(objects, count), limit);
        C_FindObjectsFinal(session: CK_SESSION_HANDLE) = objects::find_objects_final(session);

        C_EncryptInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) =
            encryption::encrypt_init(session, Mechanism::new(mechanism), key);
        C_Encrypt(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, encrypted: *mut CK_BYTE, encrypted_len: *mut CK_ULONG) =
            encryption::encrypt(session, Input::new(data, data_len), Output::new(encrypted, encrypted_len));
        C_EncryptUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG, encrypted: *mut CK_BYTE,
            encrypted_len: *mut CK_ULONG) =
            encryption::encrypt_update(session, Input::new(part, part_len), Output::new(encrypted, encrypted_len));
        C_EncryptFinal(session: CK_SESSION_HANDLE, encrypted: *mut CK_BYTE, encrypted_len: *mut CK_ULONG) =
            encryption::encrypt_final(session, Output::new(encrypted, encrypted_len));
        C_DecryptInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) =
            encryption::decrypt_init(session, Mechanism::new(mechanism), key);
        C_Decrypt(session: CK_SESSION_HANDLE, encrypted: *mut CK_BYTE, encrypted_len: CK_ULONG, data: *mut CK_BYTE, data_len: *mut CK_ULONG) =
            encryption::decrypt(session, Input::new(encrypted, encrypted_len), Output::new(data, data_len));
        C_DecryptUpdate(session: CK_SESSION_HANDLE, encrypted: *mut CK_BYTE, encrypted_len: CK_ULONG, part: *mut CK_BYTE,
            part_len: *mut CK_ULONG) =
            encryption::decrypt_update(session, Input::new(encrypted, encrypted_len), Output::new(part, part_len));
        C_DecryptFinal(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: *mut CK_ULONG) =
            encryption::decrypt_final(session, Output::new(part, part_len));

        C_DigestInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM) = digest::digest_init(session, Mechanism::new(mechanism));
        C_Digest(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, digest: *mut CK_BYTE, digest_len: *mut CK_ULONG) =
            digest::digest(session, Input::new(data, data_len), Output::new(digest, digest_len));
        C_DigestUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG) =
            digest::digest_update(session, Input::new(part, part_len));
        C_DigestKey(session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) = digest::digest_key(session, key);
        C_DigestFinal(session: CK_SESSION_HANDLE, digest: *mut CK_BYTE, digest_len: *mut CK_ULONG) =
            digest::digest_final(session, Output::new(digest, digest_len));

        C_SignInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) =
            signing::sign_init(session, Mechanism::new(mechanism), key);
        C_Sign(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: *mut CK_ULONG) =
            signing::sign(session, Input::new(data, data_len), Output::new(signature, signature_len));
        C_SignUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG) =
            signing::sign_update(session, Input::new(part, part_len));
        C_SignFinal(session: CK_SESSION_HANDLE, signature: *mut CK_BYTE, signature_len: *mut CK_ULONG) =
            signing::sign_final(session, Output::new(signature, signature_len));
        C_SignRecoverInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) =
            recovery::sign_recover_init(session, Mechanism::new(mechanism), key);
        C_SignRecover(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, signature: *mut CK_BYTE,
            signature_len: *mut CK_ULONG) =
            recovery::sign_recover(session, Input::new(data, data_len), Output::new(signature, signature_len));
        C_VerifyInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) =
            signing::verify_init(session, Mechanism::new(mechanism), key);
        C_Verify(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: CK_ULONG) =
            signing::verify(session, Input::new(data, data_len), Input::new(signature, signature_len));
        C_VerifyUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG) =
            signing::verify_update(session, Input::new(part, part_len));
        C_VerifyFinal(session: CK_SESSION_HANDLE, signature: *mut CK_BYTE, signature_len: CK_ULONG) =
            signing::verify_final(session, Input::new(signature, signature_len));
        C_VerifyRecoverInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) =
            recovery::verify_recover_init(session, Mechanism::new(mechanism), key);
        C_VerifyRecover(session: CK_SESSION_HANDLE, signature: *mut CK_BYTE, signature_len: CK_ULONG, data: *mut CK_BYTE,
            data_len: *mut CK_ULONG) =
            recovery::verify_recover(session, Input::new(signature, signature_len), Output::new(data, data_len));

        C_DigestEncryptUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG, encrypted: *mut CK_BYTE,
            encrypted_len: *mut CK_ULONG) =
            dual::digest_encrypt_update(session, Input::new(part, part_len), Output::new(encrypted, encrypted_len));
        C_DecryptDigestUpdate(session: CK_SESSION_HANDLE, encrypted: *mut CK_BYTE, encrypted_len: CK_ULONG, part: *mut CK_BYTE,
            part_len: *mut CK_ULONG) =
            dual::decrypt_digest_update(session, Input::new(encrypted, encrypted_len), Output::new(part, part_len));
        C_SignEncryptUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG, encrypted: *mut CK_BYTE,
            encrypted_len: *mut CK_ULONG) =
            dual::sign_encrypt_update(session, Input::new(part, part_len), Output::new(encrypted, encrypted_len));
        C_DecryptVerifyUpdate(session: CK_SESSION_HANDLE, encrypted: *mut CK_BYTE, encrypted_len: CK_ULONG, part: *mut CK_BYTE,
            part_len: *mut CK_ULONG) =
            dual::decrypt_verify_update(session, Input::new(encrypted, encrypted_len), Output::new(part, part_len));

        C_GenerateKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, template: *mut CK_ATTRIBUTE, count: CK_ULONG,
            key: *mut CK_OBJECT_HANDLE) =
            keygen::generate_key(session, Mechanism::new(mechanism), &Template::new(template, count), Place::new(key));
        C_GenerateKeyPair(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, public_template: *mut CK_ATTRIBUTE, public_count: CK_ULONG,
            private_template: *mut CK_ATTRIBUTE, private_count: CK_ULONG, public_key: *mut CK_OBJECT_HANDLE,
            private_key: *mut CK_OBJECT_HANDLE) =
            keygen::generate_key_pair(session, Mechanism::new(mechanism), &Template::new(public_template, public_count),
                &Template::new(private_template, private_count), Place::new(public_key), Place::new(private_key));
        C_WrapKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, wrapping_key: CK_OBJECT_HANDLE, key: CK_OBJECT_HANDLE,
            wrapped: *mut CK_BYTE, wrapped_len: *mut CK_ULONG) =
            wrapping::wrap_key(session, Mechanism::new(mechanism), wrapping_key, key, None, Output::new(wrapped, wrapped_len));
        C_UnwrapKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, unwrapping_key: CK_OBJECT_HANDLE, wrapped: *mut CK_BYTE,
            wrapped_len: CK_ULONG, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE) =
            wrapping::unwrap_key(session, Mechanism::new(mechanism), unwrapping_key, Input::new(wrapped, wrapped_len), None,
                &Template::new(template, count), Place::new(key));
        C_DeriveKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, base_key: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE,
            count: CK_ULONG, key: *mut CK_OBJECT_HANDLE) =
            derivation::derive_key(session, Mechanism::new(mechanism), base_key, &Template::new(template, count), Place::new(key));

        C_SeedRandom(session: CK_SESSION_HANDLE, seed: *mut CK_BYTE, seed_len: CK_ULONG) = random::seed_random(session);
        C_GenerateRandom(session: CK_SESSION_HANDLE, random: *mut CK_BYTE, random_len: CK_ULONG) =
            random::generate_random(session, Fill::new(random, random_len));

        C_GetFunctionStatus(session: CK_SESSION_HANDLE) = Err(Error::FunctionNotParallel);
        C_CancelFunction(session: CK_SESSION_HANDLE) = Err(Error::FunctionNotParallel);
    }
    v3_0 {
        C_LoginUser(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, pin_len: CK_ULONG, name: *mut CK_UTF8CHAR,
            name_len: CK_ULONG) = sessions::login_user(session, user, Input::new(pin, pin_len), Input::new(name, name_len));
        C_SessionCancel(session: CK_SESSION_HANDLE, flags: CK_FLAGS) = sessions::session_cancel(session, flags);

        C_MessageEncryptInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) =
            message_encryption::init(session, Mechanism::new(mechanism), key, false);
        C_EncryptMessage(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, aad: *mut CK_BYTE, aad_len: CK_ULONG,
            data: *mut CK_BYTE, data_len: CK_ULONG, encrypted: *mut CK_BYTE, encrypted_len: *mut CK_ULONG) =
            message_encryption::encrypt_message(session, MessageParameter::new(parameter, parameter_len), Input::new(aad, aad_len), Input::new(data, data_len),
                Output::new(encrypted, encrypted_len));
        C_EncryptMessageBegin(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, aad: *mut CK_BYTE,
            aad_len: CK_ULONG) =
            message_encryption::begin(session, MessageParameter::new(parameter, parameter_len), Input::new(aad, aad_len), false);
        C_EncryptMessageNext(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, part: *mut CK_BYTE,
            part_len: CK_ULONG, encrypted: *mut CK_BYTE, encrypted_len: *mut CK_ULONG, flags: CK_FLAGS) =
            message_encryption::next(session, MessageParameter::new(parameter, parameter_len), Input::new(part, part_len), Output::new(encrypted, encrypted_len), flags, false);
        C_MessageEncryptFinal(session: CK_SESSION_HANDLE) = message_encryption::end(session, false);
        C_MessageDecryptInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) =
            message_encryption::init(session, Mechanism::new(mechanism), key, true);
        C_DecryptMessage(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, aad: *mut CK_BYTE, aad_len: CK_ULONG,
            encrypted: *mut CK_BYTE, encrypted_len: CK_ULONG, data: *mut CK_BYTE, data_len: *mut CK_ULONG) =
            message_encryption::decrypt_message(session, MessageParameter::new(parameter, parameter_len), Input::new(aad, aad_len), Input::new(encrypted, encrypted_len),
                Output::new(data, data_len));
        C_DecryptMessageBegin(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, aad: *mut CK_BYTE,
            aad_len: CK_ULONG) =
            message_encryption::begin(session, MessageParameter::new(parameter, parameter_len), Input::new(aad, aad_len), true);
        C_DecryptMessageNext(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, encrypted: *mut CK_BYTE,
            encrypted_len: CK_ULONG, part: *mut CK_BYTE, part_len: *mut CK_ULONG, flags: CK_FLAGS) =
            message_encryption::next(session, MessageParameter::new(parameter, parameter_len), Input::new(encrypted, encrypted_len), Output::new(part, part_len), flags, true);
        C_MessageDecryptFinal(session: CK_SESSION_HANDLE) = message_encryption::end(session, true);
        C_MessageSignInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) =
            message_signing::message_sign_init(session, Mechanism::new(mechanism), key);
        C_SignMessage(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, data: *mut CK_BYTE, data_len: CK_ULONG,
            signature: *mut CK_BYTE, signature_len: *mut CK_ULONG) =
            message_signing::sign_message(session, Input::new(parameter.cast(), parameter_len), Input::new(data, data_len), Output::new(signature, signature_len));
        C_SignMessageBegin(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG) =
            message_signing::sign_message_begin(session, Input::new(parameter.cast(), parameter_len));
        C_SignMessageNext(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, part: *mut CK_BYTE,
            part_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: *mut CK_ULONG) =
            message_signing::sign_message_next(session, Input::new(parameter.cast(), parameter_len), Input::new(part, part_len), Output::new(signature, signature_len));
        C_MessageSignFinal(session: CK_SESSION_HANDLE) = message_signing::message_sign_final(session);
        C_MessageVerifyInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) =
            message_signing::message_verify_init(session, Mechanism::new(mechanism), key);
        C_VerifyMessage(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, data: *mut CK_BYTE, data_len: CK_ULONG,
            signature: *mut CK_BYTE, signature_len: CK_ULONG) =
            message_signing::verify_message(session, Input::new(parameter.cast(), parameter_len), Input::new(data, data_len), Input::new(signature, signature_len));
        C_VerifyMessageBegin(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG) =
            message_signing::verify_message_begin(session, Input::new(parameter.cast(), parameter_len));
        C_VerifyMessageNext(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, part: *mut CK_BYTE,
            part_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: CK_ULONG) =
            message_signing::verify_message_next(session, Input::new(parameter.cast(), parameter_len), Input::new(part, part_len), Input::new(signature, signature_len));
        C_MessageVerifyFinal(session: CK_SESSION_HANDLE) = message_signing::message_verify_final(session);
    }
    v3_2 {
        C_EncapsulateKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, public_key: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE,
            count: CK_ULONG, ciphertext: *mut CK_BYTE, ciphertext_len: *mut CK_ULONG, key: *mut CK_OBJECT_HANDLE) =
            encapsulation::encapsulate_key(session, Mechanism::new(mechanism), public_key, &Template::new(template, count),
                Output::new(ciphertext, ciphertext_len), Place::new(key));
        C_DecapsulateKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, private_key: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE,
            count: CK_ULONG, ciphertext: *mut CK_BYTE, ciphertext_len: CK_ULONG, key: *mut CK_OBJECT_HANDLE) =
            encapsulation::decapsulate_key(session, Mechanism::new(mechanism), private_key, &Template::new(template, count),
                Input::new(ciphertext, ciphertext_len), Place::new(key));
        C_VerifySignatureInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE, signature: *mut CK_BYTE,
            signature_len: CK_ULONG) =
            verify_signature::verify_signature_init(session, Mechanism::new(mechanism), key, Input::new(signature, signature_len));
        C_VerifySignature(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG) = verify_signature::verify_signature(session, Input::new(data, data_len));
        C_VerifySignatureUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG) =
            verify_signature::verify_signature_update(session, Input::new(part, part_len));
        C_VerifySignatureFinal(session: CK_SESSION_HANDLE) = verify_signature::verify_signature_final(session);
        C_GetSessionValidationFlags(session: CK_SESSION_HANDLE, kind: CK_SESSION_VALIDATION_FLAGS_TYPE, flags: *mut CK_FLAGS) =
            sessions::get_session_validation_flags(session, kind, Place::new(flags));
        C_AsyncComplete(session: CK_SESSION_HANDLE, function: *mut CK_UTF8CHAR, result: *mut CK_ASYNC_DATA) = NOT_SUPPORTED;
        C_AsyncGetID(session: CK_SESSION_HANDLE, function: *mut CK_UTF8CHAR, id: *mut CK_ULONG) = NOT_SUPPORTED;
        C_AsyncJoin(session: CK_SESSION_HANDLE, function: *mut CK_UTF8CHAR, id: CK_ULONG, data: *mut CK_BYTE, data_len: CK_ULONG) = NOT_SUPPORTED;
        C_WrapKeyAuthenticated(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, wrapping_key: CK_OBJECT_HANDLE, key: CK_OBJECT_HANDLE,
            aad: *mut CK_BYTE, aad_len: CK_ULONG, wrapped: *mut CK_BYTE, wrapped_len: *mut CK_ULONG) =
            wrapping::wrap_key(session, Mechanism::new(mechanism), wrapping_key, key, Some(Input::new(aad, aad_len)),
                Output::new(wrapped, wrapped_len));
        C_UnwrapKeyAuthenticated(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, unwrapping_key: CK_OBJECT_HANDLE,
            wrapped: *mut CK_BYTE, wrapped_len: CK_ULONG, template: *mut CK_ATTRIBUTE, count: CK_ULONG, aad: *mut CK_BYTE, aad_len: CK_ULONG,
            key: *mut CK_OBJECT_HANDLE) =
            wrapping::unwrap_key(session, Mechanism::new(mechanism), unwrapping_key, Input::new(wrapped, wrapped_len),
                Some(Input::new(aad, aad_len)), &Template::new(template, count), Place::new(key));
    }
}
