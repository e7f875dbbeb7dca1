//! What listens where: each service has a port of its own, on both addresses of `localhost`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use dsma_crypto::random;
use tokio::net::{TcpListener, TcpStream};

use crate::error::Error;

/// How often free ports are looked for that lie side by side.
const TRIES: usize = 64;
/// Where they are looked for: below the range that systems take for outgoing connections, so that after a restart the same ports are
/// still free.
const FREE: std::ops::Range<u16> = 10_000..32_000;

/// A service. Its port is `--port-base` plus its place in this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// DSM.
    Dsm,
    /// DSM, which also asks for client certificates: the host whose name begins with `apps.` in the vendor's cloud.
    Apps,
    /// CCM, which asks for the certificates of nodes.
    Ccm,
    /// The node agent, over plain HTTP.
    Agent,
}

/// The ports of one instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    base: u16,
}

/// The sockets of all services.
pub(crate) struct Listeners {
    ports: Ports,
    sockets: Vec<Socket>,
}

/// The sockets of one service: both loopback addresses, one port.
pub(crate) struct Socket {
    pub(super) service: Service,
    v4: TcpListener,
    /// Absent where the machine has no IPv6.
    v6: Option<TcpListener>,
}

impl Service {
    /// In the order of their ports.
    const ALL: [Self; 4] = [Self::Dsm, Self::Apps, Self::Ccm, Self::Agent];

    const fn scheme(self) -> &'static str {
        match self {
            Self::Dsm | Self::Apps | Self::Ccm => "https",
            Self::Agent => "http",
        }
    }
}

impl Ports {
    /// The ports from `base` on.
    pub(crate) const fn new(base: u16) -> Self {
        Self { base }
    }

    /// The URL that clients of the service use.
    pub(crate) fn endpoint(self, service: Service) -> String {
        format!("{}://localhost:{}", service.scheme(), self.port(service))
    }

    const fn port(self, service: Service) -> u16 {
        self.base.saturating_add(service as u16)
    }
}

impl Listeners {
    /// Binds the ports from `base` on (0: free ones, side by side) on 127.0.0.1 and, where there is one, ::1.
    pub(crate) async fn bind(base: u16) -> Result<Self, Error> {
        if base != 0 {
            return Self::try_bind(Ports::new(base)).await;
        }
        let mut last = None;
        for _ in 0..TRIES {
            match Self::try_bind(Ports::new(somewhere()?)).await {
                Ok(listeners) => return Ok(listeners),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::Bind { port: base, source: io::ErrorKind::AddrInUse.into() }))
    }

    /// Where they are.
    pub(crate) const fn ports(&self) -> Ports {
        self.ports
    }

    pub(super) fn into_sockets(self) -> Vec<Socket> {
        self.sockets
    }

    async fn try_bind(ports: Ports) -> Result<Self, Error> {
        let mut sockets = Vec::new();
        for service in Service::ALL {
            let port = ports.port(service);
            sockets.push(Socket::bind(service, port).await.map_err(|source| Error::Bind { port, source })?);
        }
        Ok(Self { ports, sockets })
    }
}

impl Socket {
    async fn bind(service: Service, port: u16) -> io::Result<Self> {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let v6 = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(listener) => Some(listener),
            // Somebody else answers on the other address of `localhost`: a client could reach the wrong server.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(_) => None,
        };
        Ok(Self { service, v4, v6 })
    }

    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.v6 {
            None => self.v4.accept().await,
            Some(v6) => tokio::select! {
                connection = self.v4.accept() => connection,
                connection = v6.accept() => connection,
            },
        }
    }
}

fn somewhere() -> Result<u16, Error> {
    let mut bytes = [0; 2];
    random::fill(&mut bytes)?;
    Ok(FREE.start + u16::from_le_bytes(bytes) % (FREE.end - FREE.start))
}
