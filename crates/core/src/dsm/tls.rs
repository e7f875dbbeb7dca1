//! TLS to DSM, with our certificate where we have one.
//!
//! The HTTP client's own connector would keep a copy of the private key's bytes for every change of certificate. This one is given keys
//! that are parsed already.

use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport, TransportAdapter};

use crate::identity::ClientCertificate;

thread_local! {
    /// Whether bytes of a request were given to a connection. A request stays on its caller's thread.
    static SENT: Cell<bool> = const { Cell::new(false) };
}

/// Does one exchange on this thread, and tells whether any byte of its request went out. What fails before, such as the name, the
/// connection or its handshake, has done nothing in DSM, whatever kind of error it is.
pub(super) fn watch_sending<T>(exchange: impl FnOnce() -> T) -> (T, bool) {
    SENT.set(false);
    let outcome = exchange();
    (outcome, SENT.get())
}

/// Wraps connections in TLS 1.2 or 1.3.
pub(super) struct TlsConnector(Arc<ClientConfig>);

impl TlsConnector {
    /// Trusts `roots` alone, and presents `certificate` to a server that asks for one.
    pub(super) fn new(roots: RootCertStore, certificate: Option<&ClientCertificate>) -> Result<Self, rustls::Error> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match certificate {
            Some(certificate) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate.certified_key()))),
            None => config.with_no_client_auth(),
        };
        Ok(Self(Arc::new(config)))
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = TlsTransport<In>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(tcp) = chained else { return Ok(None) };
        let host = details.uri.host().unwrap_or_default();
        // An IPv6 address stands in brackets in a URL.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ureq::Error::Tls("the endpoint's host is no name for TLS"))?;
        let mut session = ClientConnection::new(Arc::clone(&self.0), name)?;
        let mut tcp = TransportAdapter::new(tcp, Arc::clone(&details.current_time));
        tcp.set_timeout(details.timeout);
        session.complete_io(&mut tcp)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(TlsTransport { buffers, stream: StreamOwned::new(session, tcp), cut: None }))
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector(..)")
    }
}

/// One connection.
pub(super) struct TlsTransport<T: Transport> {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter<T>>,
    /// What broke the connection while a request was sent. Nothing goes out any more, but an answer may have come before.
    cut: Option<io::Error>,
}

impl<T: Transport> TlsTransport<T> {
    /// Reads what DSM sent before the connection broke: one that refuses a body for its length answers, and reads no further. The
    /// ordinary way to read begins with writing what has yet to be written.
    fn read_after_cut(&mut self) -> io::Result<usize> {
        let StreamOwned { conn, sock } = &mut self.stream;
        loop {
            match conn.reader().read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if conn.read_tls(sock)? == 0 {
                return Ok(0);
            }
            conn.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
    }
}

/// Whether the other side has ended the connection, in contrast to one that is slow.
fn is_cut(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

impl<T: Transport> Transport for TlsTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        SENT.set(true);
        if self.cut.is_some() {
            return Ok(());
        }
        match self.stream.write_all(&self.buffers.output()[..amount]) {
            Err(error) if is_cut(&error) => self.cut = Some(error),
            outcome => outcome?,
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        if self.cut.is_none() {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(error) if is_cut(&error) => self.cut = Some(error),
                read => {
                    let read = read?;
                    self.buffers.input_appended(read);
                    return Ok(read > 0);
                }
            }
        }
        let read = self.read_after_cut();
        match (read, &self.cut) {
            (Ok(read @ 1..), _) => {
                self.buffers.input_appended(read);
                Ok(true)
            }
            // There is no answer: why the request did not go out says more.
            (_, Some(cut)) => Err(io::Error::new(cut.kind(), cut.to_string()).into()),
            (read, None) => Ok(read? > 0),
        }
    }

    fn is_open(&mut self) -> bool {
        self.cut.is_none() && self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl<T: Transport> fmt::Debug for TlsTransport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport(..)")
    }
}
