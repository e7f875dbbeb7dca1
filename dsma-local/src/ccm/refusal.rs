//! Refusals as CCM words them: an `Event` of the published OpenAPI.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use dsma_api::ApiError;
use serde_json::json;

use crate::error::Error;
use crate::http::reply::with_type;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: Code,
    message: Cow<'static, str>,
}

/// The codes of the OpenAPI's `EventType` that this version uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    AttestationRequired,
    AuthFailed,
    BadRequest,
    FeatureNotSupported,
    Forbidden,
    InternalServerError,
    InvalidBodyParameter,
    InvalidName,
    InvalidPathParameter,
    InvalidQueryParameter,
    InvalidSession,
    InvalidState,
    InvalidValue,
    Locked,
    MethodNotAllowed,
    MissingRequiredParameter,
    NoAccountSelected,
    NodeNotEnrolled,
    NotFound,
    QuotaExceeded,
    RequestPayloadTooLarge,
    TooManyRequests,
    Unauthorized,
    UniqueViolation,
    UserAccountPending,
    UserAlreadyExists,
}

impl Code {
    const fn name(self) -> &'static str {
        match self {
            Self::AttestationRequired => "ATTESTATION_REQUIRED",
            Self::AuthFailed => "AUTH_FAILED",
            Self::BadRequest => "BAD_REQUEST",
            Self::FeatureNotSupported => "FEATURE_NOT_SUPPORTED",
            Self::Forbidden => "FORBIDDEN",
            Self::InternalServerError => "INTERNAL_SERVER_ERROR",
            Self::InvalidBodyParameter => "INVALID_BODY_PARAMETER",
            Self::InvalidName => "INVALID_NAME",
            Self::InvalidPathParameter => "INVALID_PATH_PARAMETER",
            Self::InvalidQueryParameter => "INVALID_QUERY_PARAMETER",
            Self::InvalidSession => "INVALID_SESSION",
            Self::InvalidState => "INVALID_STATE",
            Self::InvalidValue => "INVALID_VALUE",
            Self::Locked => "LOCKED",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::MissingRequiredParameter => "MISSING_REQUIRED_PARAMETER",
            Self::NoAccountSelected => "NO_ACCOUNT_SELECTED",
            Self::NodeNotEnrolled => "NODE_NOT_ENROLLED",
            Self::NotFound => "NOT_FOUND",
            Self::QuotaExceeded => "QUOTA_EXCEEDED",
            Self::RequestPayloadTooLarge => "REQUEST_PAYLOAD_TOO_LARGE",
            Self::TooManyRequests => "TOO_MANY_REQUESTS",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::UniqueViolation => "UNIQUE_VIOLATION",
            Self::UserAccountPending => "USER_ACCOUNT_PENDING",
            Self::UserAlreadyExists => "USER_ALREADY_EXISTS",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::AuthFailed | Self::InvalidSession | Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::NoAccountSelected | Self::NodeNotEnrolled | Self::QuotaExceeded | Self::UserAccountPending => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Locked => StatusCode::LOCKED,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UserAlreadyExists => StatusCode::CONFLICT,
            Self::RequestPayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::InternalServerError => StatusCode::INTERNAL_SERVER_ERROR,
            // What the vendor's pages document for names and measurements that are taken, and for tasks under way.
            Self::UniqueViolation | Self::InvalidState => StatusCode::BAD_REQUEST,
            Self::AttestationRequired
            | Self::BadRequest
            | Self::FeatureNotSupported
            | Self::InvalidBodyParameter
            | Self::InvalidName
            | Self::InvalidPathParameter
            | Self::InvalidQueryParameter
            | Self::InvalidValue
            | Self::MissingRequiredParameter => StatusCode::BAD_REQUEST,
        }
    }
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// 404, of a kind of thing.
    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::new(Code::NotFound, format!("{what} does not exist in this account"))
    }

    /// 400, of a value in the body.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidValue, message)
    }

    /// What goes over the wire.
    pub(crate) fn into_response(self) -> Response {
        let event = json!({ "message": self.message, "code": self.code.name(), "severity": "ERROR" });
        let mut response = with_type(self.code.status(), "application/json", Body::from(event.to_string()));
        if self.code.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"CCM\""));
        }
        response
    }
}

/// A store that fails is not the request's fault, and the cause goes to the log, not to the client.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        tracing::error!("{error}");
        Self::new(Code::InternalServerError, "CCM's store is not available; see the log of dsma-local")
    }
}

/// Refusals of the layer that DSM and CCM share.
impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let code = match error.status {
            400 => Code::InvalidBodyParameter,
            401 => Code::Unauthorized,
            403 => Code::Forbidden,
            404 => Code::NotFound,
            405 => Code::MethodNotAllowed,
            413 => Code::RequestPayloadTooLarge,
            423 => Code::Locked,
            429 => Code::TooManyRequests,
            408..500 => Code::BadRequest,
            _ => Code::InternalServerError,
        };
        Self { code, message: error.message }
    }
}
