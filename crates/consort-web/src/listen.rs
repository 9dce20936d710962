//! Accepting connections: limits, TLS, and the requests of each connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::connections::Connections;

/// How long a TLS handshake, or the headers of a request, may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last that does not become a WebSocket.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
/// The pause after a connection could not be accepted, for lack of descriptors or memory.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// The buffer for the headers of a request.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// What the kernel buffers for a browser. Small, so that a slow one gets new values, not old ones.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Which hosts may connect. Called for every connection, on the server's thread.
pub type Admission = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Where and how a server listens.
pub(crate) struct Listening {
    /// The name of the thread.
    pub(crate) thread: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// Without it, everyone may connect.
    pub(crate) admission: Option<Admission>,
}

/// A server that runs on a thread of its own until it is dropped.
pub(crate) struct Listener {
    address: SocketAddr,
    /// Ends the thread when it is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens, and answers requests with `app`.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the thread cannot be started.
    pub(crate) fn start(listening: Listening, app: Router) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(listening.address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(listening.thread.into());
        let thread = thread.spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    result = serve(listener, listening, app) => {
                        if let Err(error) = result {
                            tracing::error!("the page's server has stopped: {error}");
                        }
                    }
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Listener { address, stop: Some(stop), thread: Some(thread) })
    }

    /// The address and port that are listened on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Accepts connections until an error that does not pass.
async fn serve(
    listener: std::net::TcpListener,
    listening: Listening,
    app: Router,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let acceptor = listening.tls.map(TlsAcceptor::from);
    let connections = Connections::default();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("cannot accept a connection to the page: {error}");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            }
        };
        let host = peer.ip().to_canonical();
        if listening.admission.as_ref().is_some_and(|admits| !admits(host)) {
            tracing::debug!("a connection of {host} was refused");
            continue;
        }
        // Above the limit, the connection is closed at once.
        let Some(counted) = connections.add(host) else { continue };
        let counted = Arc::new(counted);
        let app = app.clone().layer(Extension(Arc::clone(&counted)));
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            prepare(&stream);
            match acceptor {
                None => connection(stream, app).await,
                Some(acceptor) => {
                    if let Ok(Ok(stream)) = timeout(REQUEST_TIMEOUT, acceptor.accept(stream)).await
                    {
                        connection(stream, app).await;
                    }
                }
            }
            drop(counted);
        });
    }
}

/// Sets options of a socket; the page also works without them.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(SEND_BUFFER_BYTES);
}

/// Answers the requests of one connection.
async fn connection<S>(stream: S, app: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES);
    let service = TowerToHyperService::new(app);
    let serving = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    // A client that breaks off or breaks the protocol is not an error of this program.
    let _ = timeout(CONNECTION_TIMEOUT, serving).await;
}
