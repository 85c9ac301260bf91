//! The settings: shown, checked, taken anew.

use bb_proto::error::RpcError;
use bb_proto::reply::{Settings, SettingsChecked};
use bb_proto::request::SettingsReload;

use super::super::Api;

impl Api {
    pub(super) fn settings_show(&self) -> Settings {
        self.parts().live.show()
    }

    pub(super) fn settings_check(&self) -> Result<SettingsChecked, RpcError> {
        self.parts().live.check()
    }

    pub(super) async fn settings_reload(
        &self,
        params: &SettingsReload,
    ) -> Result<SettingsChecked, RpcError> {
        if params.dry_run {
            return self.parts().live.check();
        }
        self.parts().live.reload().await
    }
}
