//! The log on standard output: `LEVEL target - message`, as the vendor's service writes it.
//!
//! Only our own events below WARN are ever written, whatever RUST_LOG says: HTTP and TLS libraries trace header values and frames,
//! and those hold credentials, plaintext and key material. Our own events never carry any of them.

use std::fmt;

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::config::ConfigError;

/// Starts logging as RUST_LOG says; INFO where it is absent.
///
/// # Errors
/// RUST_LOG does not parse.
pub(crate) fn start() -> Result<(), ConfigError> {
    let directives = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "info".to_owned());
    let wanted = EnvFilter::try_new(&directives).map_err(|_| {
        ConfigError::new("RUST_LOG", format!("`{directives}` cannot be used"), "set it to error, warn, info, debug or trace")
    })?;
    let lines = tracing_subscriber::fmt::layer().event_format(Lines).with_ansi(false).with_writer(std::io::stdout);
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(wanted.and(filter_fn(may_be_written))));
    // Only a second call could fail, and there is none.
    let _already_set = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

fn may_be_written(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    *metadata.level() <= Level::WARN || target == "dsma" || target.starts_with("dsma::") || target.starts_with("enclave_host")
}

struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        write!(writer, "{} {} - ", metadata.level(), metadata.target())?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writer.write_char('\n')
    }
}
