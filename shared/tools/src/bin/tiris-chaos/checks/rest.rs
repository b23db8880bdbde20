//! REST tells the same balances.
//!
//! Owns: asking as the users themselves. Must not know: the database.

use crate::report::Check;
use crate::run::Run;
use anyhow::Result;
use bigdecimal::BigDecimal;
use serde::Deserialize;
use std::time::Duration;
use tiris_testing::auditor::Expected;
use tiris_tools::ApiClient;

/// Every so many users one is asked for.
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
    let mut asked = 0;
    for user in run.users.iter().step_by(USERS_STEP) {
        let token = api.token(&user.email()).await?;
        let client = ApiClient::new(&api.url(), token, REQUEST_LIMIT)?;
        for account in expected.iter().filter(|account| account.user == user.id) {
            asked += 1;
            let path = format!("/v1/sub-accounts/{}", account.id);
            match client.get::<Account>(&path).await {
                Ok(answered) if answered.is(account)? => {}
                Ok(answered) => findings.push(format!(
                    "{}: expected {account:?}, REST answers {answered:?}",
                    account.id
                )),
                Err(error) => findings.push(format!("{error:#}")),
            }
        }
    }

    let extent = format!("{asked} accounts");
    Ok(Check::new("REST tells the same balances", extent, findings))
}

impl Account {
    fn is(&self, expected: &Expected) -> Result<bool> {
        let balance: BigDecimal = self.balance.parse()?;
        let locked: BigDecimal = self.locked.parse()?;
        Ok(balance == expected.balance && locked == expected.locked)
    }
}
