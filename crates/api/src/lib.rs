//! DSM's wire types, and [`authorize`]: the one place that says who may do what.
//!
//! Source: the published OpenAPI of Fortanix DSM (2026-07-10) and what its clients send in practice. Three rules hold for every
//! type here: `null` equals absent; unknown response fields are ignored; an unknown enum value in a *response* is kept out of the
//! way instead of failing the whole document, while in a *request* it is refused by [`ApiError`].
#![forbid(unsafe_code)]

mod account;
mod approval;
mod authorize;
mod batch;
mod blob;
mod components;
mod credential;
mod derive;
mod error;
mod group_policies;
mod key_requests;
mod key_settings;
mod mac;
mod operation;
mod parts;
mod quorum;
mod rsa_policy;
mod session;
mod set;
mod sobject;
mod time;
mod wrap;

pub use account::{Account, AccountRequest, SignupRequest, User, UserRequest, UserRole};
pub use approval::{
    ApprovableResult, ApprovalRequest, ApprovalRequestRequest, ApprovalStatus, ApprovalSubject, ApproveRequest, DenyRequest, Reviewer,
};
pub use authorize::{KeyFacts, Operation, authorize};
pub use batch::{
    BatchExecutionType, BatchRequest, BatchRequestItem, BatchRequestList, BatchResponse, BatchResponseList, BatchResponseObject,
};
pub use blob::{Blob, SecretBlob};
pub use components::{
    CustodianComponent, ExportComponentsRequest, ExportComponentsResponse, ImportComponentsRequest, SobjectComponent, SplittingMethod,
};
pub use credential::{Credential, CredentialResponse, PreviousCredential, SubjectGeneral, TrustedCa};
pub use derive::{
    AgreeKeyMechanism, AgreeKeyRequest, DecapsulateKeyRequest, DeriveKeyMechanism, DeriveKeyRequest, EncapsulateKeyRequest,
    EncapsulateKeyResponse, Hkdf,
};
pub use error::{ApiError, text};
pub use group_policies::{
    CryptographicPolicy, CurvePolicy, DurationConstraint, GroupPolicies, KeyMetadataPolicy, LegacyKeyPolicy, MetadataPolicyItem,
    MinimumPolicy, RestrictedDuration, RsaPolicy, SizePolicy, StringConstraint, TimeSpan,
};
pub use key_requests::{
    CopySobjectRequest, KcvMethod, KeyCheckValueRequest, KeyCheckValueResponse, ObjectDigestRequest, ObjectDigestResponse,
    PersistTransientKeyRequest, SobjectRekeyRequest, SobjectReplaceRequest, VerifyKcvRequest, VerifyKcvResponse,
};
pub use key_settings::{
    EffectiveKeyPolicy, ExportPolicy, KeyLinks, MlDsaOptions, MlDsaParamSet, MlKemOptions, MlKemParamSet, PublishPublicKey, RotationPolicy,
    SobjectExportPolicy, WrappingKeys,
};
pub use mac::{MacRequest, MacResponse, VerifyMacRequest};
pub use operation::{
    BatchItem, BatchReply, CipherMode, CryptMode, DecryptRequest, DecryptResponse, DigestRequest, DigestResponse, EncryptRequest,
    EncryptResponse, HashAlgorithm, Mgf, Mgf1, MlDsaMode, Oaep, Pss, RsaEncryptionPadding, RsaSignaturePadding, SignRequest, SignResponse,
    SignatureMode, VerifyRequest, VerifyResponse,
};
pub use parts::{
    DecryptFinalRequest, DecryptFinalResponse, DecryptInitRequest, DecryptInitResponse, DecryptUpdateRequest, DecryptUpdateResponse,
    EncryptFinalRequest, EncryptFinalResponse, EncryptInitRequest, EncryptInitResponse, EncryptUpdateRequest, EncryptUpdateResponse,
};
pub use quorum::{Act, Approval, Approver, GroupApprovalPolicy, Quorum, QuorumPolicy, approvers, requires_password, satisfied};
pub use session::{
    App, AppGroups, AppRequest, AppRole, AuditHit, AuditLog, AuditRecord, AuthResponse, Group, GroupNames, GroupRequest, IpAddressPolicy,
    Principal, VersionResponse,
};
pub use set::{KeyOperation, KeyOperations, Permission, Permissions};
pub use sobject::{
    EllipticCurve, InlineKey, ObjectOrigin, ObjectType, RevocationReason, RsaOptions, Sobject, SobjectDescriptor, SobjectRequest,
    SobjectState,
};
pub use time::Time;
pub use wrap::{KeyFormat, UnwrapKeyRequest, WrapKeyRequest, WrapKeyResponse};
