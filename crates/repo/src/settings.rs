//! What holds for a namespace: per setting, the nearest document of its chain that states it.

use confman_model::{Namespace, Settings, ValueLimits};

use crate::error::Error;
use crate::seen::Seen;

impl Seen<'_> {
    /// The settings that hold in a namespace that exists. What no document of the chain states is as in
    /// the system's defaults.
    pub(crate) fn settings(&self, namespace: &Namespace) -> Result<Settings, Error> {
        Ok(self
            .stated_settings(namespace)?
            .or(&Settings::system_defaults()))
    }

    /// What holds where no document states it: as in the system's defaults, or as this node was told.
    pub(crate) fn default_settings(&self) -> Settings {
        let limits = self.repo.options.value_limits.clone();
        Settings {
            value_bytes_max: Some(limits.value_bytes_max),
            secret_schemes: Some(limits.secret_schemes),
            ..Settings::system_defaults()
        }
    }

    /// What values a namespace accepts. What no document states is as this node was told.
    pub(crate) fn value_limits(&self, namespace: &Namespace) -> Result<ValueLimits, Error> {
        let stated = self.stated_settings(namespace)?;
        let mut limits = self.repo.options.value_limits.clone();
        if let Some(bytes_max) = stated.value_bytes_max {
            limits.value_bytes_max = bytes_max;
        }
        if let Some(schemes) = stated.secret_schemes {
            limits.secret_schemes = schemes;
        }
        Ok(limits)
    }

    fn stated_settings(&self, namespace: &Namespace) -> Result<Settings, Error> {
        let links = self.links(namespace, None)?;
        Ok(Settings::effective(
            links.iter().map(|link| &link.document.settings),
        ))
    }
}
