//! The keys in dsma-local, one an operation.

use dsma_testkit::Stack;
use serde_json::json;

use crate::operation::Operation;

/// Kids by operation.
pub(crate) struct Keys(Vec<(Operation, String)>);

impl Keys {
    pub(crate) fn kid(&self, operation: Operation) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == operation).map(|(_, kid)| kid.as_str())
    }
}

/// Makes them. The forwarded one may not be exported.
pub(crate) fn create(stack: &Stack) -> Keys {
    let dsm = stack.dsm();
    let create = |operation: Operation| {
        let name = operation.key();
        let spec = match operation {
            Operation::RsaSign => json!({"name": name, "obj_type": "RSA", "key_size": 2048, "key_ops": ["SIGN", "VERIFY", "EXPORT"]}),
            Operation::EcdsaSign => {
                json!({"name": name, "obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "VERIFY", "EXPORT"]})
            }
            Operation::GcmEncrypt => json!({"name": name, "obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT", "EXPORT"]}),
            Operation::Forwarded => json!({"name": name, "obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT"]}),
        };
        (operation, dsm.create_key(spec))
    };
    Keys(Operation::ALL.map(create).to_vec())
}
