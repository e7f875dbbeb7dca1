//! The library's log. Off unless the configuration asks for it: a library does not write into its host's output.
//!
//! Nothing secret is ever passed to it: keys, PINs and tokens are types without `Debug` of their content.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::sync::Mutex;

use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, fmt, registry};

use crate::LogConfig;

/// Starts logging as configured, once per process; a later call with another configuration changes nothing.
///
/// # Errors
/// The log file cannot be opened.
pub fn init(config: &LogConfig) -> std::io::Result<()> {
    let Some(level) = config.level() else { return Ok(()) };
    let layer = || fmt::layer().with_ansi(false).with_target(true);
    let level = LevelFilter::from_level(level);
    // A second initialisation is refused by `set_global_default`: the first one stands.
    let _already_set = match config.file() {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            set_global_default(registry().with(layer().with_writer(Mutex::new(file))).with(level).with(WhileThreadLives))
        }
        None => set_global_default(registry().with(layer().with_writer(std::io::stderr)).with(level).with(WhileThreadLives)),
    };
    Ok(())
}

/// Logs nothing where the thread's own variables are gone already: in handlers that the host registered for the end of the process or of
/// a thread. The layer below keeps a buffer in such a variable, and panics without it.
struct WhileThreadLives;

/// Gone a little earlier than that buffer, because it is first used a little later.
struct Mark;

impl Drop for Mark {
    fn drop(&mut self) {}
}

thread_local! {
    static MARK: Mark = const { Mark };
    /// Without a destructor: it can be asked at any time.
    static HAS_LOGGED: Cell<bool> = const { Cell::new(false) };
}

impl<S: Subscriber> Layer<S> for WhileThreadLives {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>, _: Context<'_, S>) -> bool {
        !HAS_LOGGED.get() || MARK.try_with(|_| ()).is_ok()
    }

    /// Comes after the layers below.
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        if !HAS_LOGGED.replace(true) {
            // Where the variables are gone already, new ones stay.
            let _used_from_now_on = MARK.try_with(|_| ());
        }
    }
}
