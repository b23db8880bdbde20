//! REST returns the expected balances to the users themselves.

use crate::report::Check;
use crate::run::Run;
use anyhow::Result;
use bigdecimal::BigDecimal;
use serde::Deserialize;
use std::time::Duration;
use tiris_testing::auditor::Expected;
use tiris_tools::ApiClient;

/// One in this many users is checked.
const USERS_STEP: usize = 3;
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
struct Account {
    balance: String,
    locked: String,
}

pub(super) async fn check(run: &Run, expected: &[Expected]) -> Result<Check> {
    let api = run.system.api.lock().await;
    let mut findings = Vec::new();
    let mut count = 0;
    for user in run.users.iter().step_by(USERS_STEP) {
        let token = api.token(&user.email()).await?;
        let client = ApiClient::new(&api.url(), token, REQUEST_LIMIT)?;
        for account in expected.iter().filter(|account| account.user == user.id) {
            count += 1;
            let path = format!("/v1/sub-accounts/{}", account.id);
            match client.get::<Account>(&path).await {
                Ok(found) if found.equals(account)? => {}
                Ok(found) => findings.push(format!("expected {account:?}, REST returns {found:?}")),
                Err(error) => findings.push(format!("{error:#}")),
            }
        }
    }

    Ok(Check {
        what: "REST returns the same balances",
        extent: format!("{count} accounts"),
        findings,
    })
}

impl Account {
    fn equals(&self, expected: &Expected) -> Result<bool> {
        let balance: BigDecimal = self.balance.parse()?;
        let locked: BigDecimal = self.locked.parse()?;
        Ok(balance == expected.balance && locked == expected.locked)
    }
}
