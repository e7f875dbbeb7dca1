//! The library's log. Off unless the configuration asks for it: a library does not write into its host's output.
//!
//! Nothing secret is ever passed to it: keys, PINs and tokens are types without `Debug` of their content.

use std::fs::OpenOptions;
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

use crate::LogConfig;

/// Starts logging as configured, once per process; a later call with another configuration changes nothing.
///
/// # Errors
/// The log file cannot be opened.
pub fn init(config: &LogConfig) -> std::io::Result<()> {
    let Some(level) = config.level() else { return Ok(()) };
    let builder = fmt().with_ansi(false).with_target(true).with_max_level(LevelFilter::from_level(level));
    // A second initialisation is refused by `set_global_default`: the first one stands.
    let _already_set = match config.file() {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            tracing::subscriber::set_global_default(builder.with_writer(Mutex::new(file)).finish())
        }
        None => tracing::subscriber::set_global_default(builder.with_writer(std::io::stderr).finish()),
    };
    Ok(())
}
