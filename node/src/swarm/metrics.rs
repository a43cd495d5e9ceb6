//! libp2p's own metrics, in the registry of ours: connections, dials, errors.

use std::fmt;
use std::sync::Arc;

use libp2p::metrics::{Metrics, Recorder as _};
use libp2p::swarm::SwarmEvent;
use prometheus_client::registry::Registry;

/// libp2p's own metrics.
#[derive(Clone)]
pub struct NetworkMetrics(Arc<Metrics>);

impl NetworkMetrics {
    /// Registers them, as `libp2p_...`.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        Self(Arc::new(Metrics::new(registry)))
    }

    /// Counts an event.
    pub(crate) fn record<T>(&self, event: &SwarmEvent<T>) {
        self.0.record(event);
    }
}

impl fmt::Debug for NetworkMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkMetrics").finish_non_exhaustive()
    }
}
