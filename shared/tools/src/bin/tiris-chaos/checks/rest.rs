//! REST tells the same balances.
//!
//! Owns: asking as the users themselves. Must not know: the database.

use crate::report::Check;
use crate::scenario::Run;
use anyhow::{Context, Result};
use bigdecimal::BigDecimal;
use serde_json::Value;
use std::str::FromStr;
use std::time::Duration;
use tiris_testing::auditor::Expected;

/// Every so many users one is asked for.
const USERS_STEP: usize = 3;
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn check(run: &Run, expected: &[Expected]) -> Result<Check> {
    let api = run.system.api.lock().await;
    let client = reqwest::Client::builder()
        .timeout(REQUEST_LIMIT)
        .no_proxy()
        .build()?;
    let (mut findings, mut asked) = (Vec::new(), 0);
    for user in run.users.iter().step_by(USERS_STEP) {
        let token = api.token(&user.email()).await?;
        for account in expected.iter().filter(|account| account.user == user.id) {
            let url = format!("{}/v1/sub-accounts/{}", api.url(), account.id);
            let answer = client.get(&url).bearer_auth(&token).send().await?;
            let status = answer.status();
            let body: Value = serde_json::from_str(&answer.text().await?)?;
            asked += 1;
            if !status.is_success() {
                findings.push(format!("{url}: {status}: {body}"));
                continue;
            }
            let told = (number(&body, "balance")?, number(&body, "locked")?);
            if told != (account.balance.clone(), account.locked.clone()) {
                findings.push(format!(
                    "{}: expected {account:?}, REST tells {told:?}",
                    account.id
                ));
            }
        }
    }
    Ok(Check {
        what: "REST tells the same balances",
        extent: format!("{asked} accounts"),
        findings,
    })
}

fn number(body: &Value, field: &str) -> Result<BigDecimal> {
    let text = body["data"][field]
        .as_str()
        .with_context(|| format!("{field} in {body}"))?;
    Ok(BigDecimal::from_str(text)?)
}
