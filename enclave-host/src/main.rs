//! `enclave-host`: DSM's REST surface in front of DSM, with the cryptography done here.
//!
//! A request comes in through [`listen`] and [`routes`]; [`callers`] finds out who asks and what DSM lets them do; the engine
//! (`dsma-core`) exports each key once under the service's own identity; [`local`] uses it. Everything else passes through
//! [`upstream`] with the caller's own credential.
#![forbid(unsafe_code)]

mod body;
mod callers;
mod certified;
mod config;
mod listen;
mod local;
mod logging;
mod process;
mod request_id;
mod routes;
mod service;
mod startup;
mod tls;
mod upstream;
mod workers;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::{Arguments, Config, ConfigError, EXIT_CONFIG};
use crate::listen::Limits;
use crate::service::Service;
use crate::workers::Workers;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Also the way of --help and --version, which succeed.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_CONFIG) } else { ExitCode::SUCCESS };
        }
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("enclave-host: {error}");
            error.exit_code()
        }
    }
}

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the runtime cannot start: {0}; check the limits on processes and open files")]
    Runtime(#[from] io::Error),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::from(EXIT_CONFIG),
            Self::Runtime(_) => ExitCode::FAILURE,
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = Config::new(arguments)?;
    logging::start()?;
    process::harden();
    process::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().max_blocking_threads(Workers::threads()).enable_all().build()?;
    let outcome = runtime.block_on(serve(&config));
    // An export that still waits for DSM does not hold up the end.
    runtime.shutdown_background();
    outcome
}

async fn serve(config: &Config) -> Result<(), Failure> {
    // Before anything listens, so that a signal during the start is a clean stop as well.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let hangup = signal(SignalKind::hangup())?;
    let (stopper, stop) = watch::channel(false);
    let limits = Limits { connections: config.max_connections, in_flight: config.max_in_flight, idle: config.idle_timeout };
    let serving = async {
        let ready = startup::set_up(config).await?;
        let listener = tokio::net::TcpListener::from_std(ready.listener)?;
        tokio::spawn(refresh_on_hangup(hangup, Arc::clone(&ready.service)));
        listen::serve(listener, ready.tls, ready.service, limits, stop).await;
        Ok(())
    };
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        outcome = &mut serving => return outcome,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(target: "dsma", "Stopping: no new connections, requests under way are finished");
    stopper.send_replace(true);
    tokio::select! {
        outcome = &mut serving => outcome?,
        // A second signal means now.
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(target: "dsma", "Stopped");
    Ok(())
}

/// SIGHUP clears the cache, as a request to do so does, and looks for the TLS key's certificates again: another instance may have been
/// given new ones.
async fn refresh_on_hangup(mut hangup: Signal, service: Arc<Service>) {
    while hangup.recv().await.is_some() {
        let cleared = service.clear(None);
        tracing::info!(target: "dsma", "cleared {cleared} keys from the cache on SIGHUP");
        let Some(tls) = &service.tls else { continue };
        match tls.load().await {
            Ok(found) => found.tell(),
            Err(error) => tracing::warn!(target: "dsma::server", "the TLS key and its certificates stay as they are: {error}"),
        }
    }
}
