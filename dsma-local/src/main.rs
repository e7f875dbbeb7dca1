//! `dsma-local`: an embedded DSM for laptops, laboratories and tests.
//!
//! It is no mock: it authenticates, enforces permissions and key states through `dsma_api::authorize`, keeps its state in SQLite
//! with key material sealed at rest, and speaks DSM's REST interface to unmodified clients. [`dsm`] holds the interface,
//! [`store`] what outlives the process, [`state_dir`] and [`tls`] the files around it, [`serve`] the listeners, [`cli`] the commands,
//! [`nsm`] the emulated device for attested programs.
#![deny(unsafe_code)]

mod agent;
mod args;
mod ccm;
mod cli;
mod dsm;
mod error;
mod http;
mod nsm;
mod passphrase;
mod passwords;
mod secrets;
mod serve;
mod sessions;
mod state_dir;
mod store;
mod throttle;
mod tls;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::agent::Agent;
use crate::args::Args;
use crate::ccm::Ccm;
use crate::dsm::{Dsm, Settings};
use crate::error::Error;
use crate::serve::{Listeners, Served, Service, Stop};
use crate::state_dir::StateDir;
use crate::store::Store;
use crate::tls::ClientCertificates;

/// Requests that may run at the same time whatever streams and passwords take; where those leave threads, others run there too. More would
/// only queue for the CPU and hold memory.
const WORKERS: usize = 32;

fn main() -> ExitCode {
    let mut args = Args::read();
    let state = args.state();
    let command = args.command.take();
    let default_log = if command.is_some() { "error" } else { "info" };
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_log));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry().with(lines.with_filter(wanted.and(filter_fn(may_be_written)))).init();
    let done = match command {
        Some(command) => cli::run(command, &state, &args),
        None => run(&args, &state).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("dsma-local: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Libraries write whole requests at the finer levels, with the credentials in them: whatever `RUST_LOG` says, they only warn.
fn may_be_written(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN || metadata.target().starts_with("dsma_")
}

fn run(args: &Args, state_path: &Path) -> Result<(), Error> {
    let state = Arc::new(StateDir::open(state_path)?.with_passphrase(args.passphrase.as_ref()));
    let authority = tls::DevCa::load_or_create(&state)?;
    let store = Store::open(&state)?;
    let account = dsm::provision(&store)?;
    let ccm_account = ccm::provision(&store)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(WORKERS + dsm::STREAMS + passwords::QUEUE)
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    let served = runtime.block_on(async {
        // Before anything listens, so that a signal during start-up is a clean stop as well.
        let stop = Stop::on_signals()?;
        let listeners = Listeners::bind(args.port_base).await?;
        let ports = listeners.ports();
        let settings = Settings { session_idle: args.session_idle(), auto_satisfy: args.quorum_auto_satisfy, ports: Some(ports) };
        // Made here where there is none, so that the marked account trusts it before the first program runs with it.
        let emulator = nsm::root_der(&state)?;
        let ccm = Arc::new(Ccm::new(store.clone(), args.session_idle(), &emulator)?);
        let agent = Arc::new(Agent::new(agent::Settings {
            ccm: ports.endpoint(Service::Ccm),
            ca_pem: authority.pem().to_owned(),
            join_token: ccm_account.join_token.clone(),
            state: Arc::clone(&state),
            store: store.clone(),
        }));
        let dsm = Arc::new(Dsm::new(store, settings));
        let enclave = dsm::provision_enclave(&dsm, &account, &ccm_account.zone_ca_der)?;
        state.write_client_files(ports, &account, &ccm_account, &enclave, &authority)?;
        let served = [
            Served {
                service: Service::Dsm,
                tls: Some(authority.server_config(ClientCertificates::Ignored)?),
                router: dsm::router(Arc::clone(&dsm)),
            },
            Served {
                service: Service::Apps,
                tls: Some(authority.server_config(ClientCertificates::Requested)?),
                router: dsm::router(Arc::clone(&dsm)),
            },
            // Nodes show their certificates here.
            Served { service: Service::Ccm, tls: Some(authority.server_config(ClientCertificates::Requested)?), router: ccm::router(ccm) },
            Served { service: Service::Agent, tls: None, router: agent::router(Arc::clone(&agent)) },
        ];
        // It reaches CCM as soon as that is served.
        tokio::spawn(async move { agent.enrol().await });
        // Nobody has to read it.
        let endpoint = ports.endpoint(Service::Dsm);
        let _ = writeln!(std::io::stdout(), "ready {endpoint} (for a shell: . {})", state.path("env").display());
        serve::run(listeners, &served, dsm, stop).await;
        tracing::info!("stopped; the state stays in {}", state_path.display());
        Ok(())
    });
    // A handler that is still at work, such as the generation of a large key, does not keep the process alive.
    runtime.shutdown_background();
    served
}
