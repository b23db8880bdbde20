//! Sessions: role and status come from the database, not from the token; refresh and sign-out.

use crate::sign_in::world as world_with_providers;
use crate::stub::{REDIRECT, Stub};
use crate::world::{Answer, User, World, text};
use reqwest::Method;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::time::Duration;
use tiris_testing::eventually;

/// Guaranteed by the API contract.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

const ME: &str = "/v1/users/me";
const REFRESH: &str = "/v1/auth/refresh";
const SESSIONS: &str = "/v1/sessions";
const LOGOUT_ALL: &str = "/v1/auth/logout-all";

async fn revoke(user: &User<'_>) {
    let revoke = "UPDATE sessions SET revoked_at = now() WHERE id = $1";
    user.world.run(revoke, user.session).await;
}

async fn expire(user: &User<'_>) {
    let expire = "UPDATE sessions SET expires_at = now() WHERE id = $1";
    user.world.run(expire, user.session).await;
}

#[tokio::test]
async fn reports_a_disabled_user_even_without_a_session() {
    let world = World::start().await;
    let user = world.user("ann").await;
    user.set_status("disabled").await;
    revoke(&user).await;

    let answer = user.get(ME).await;

    answer.assert_error(403, "ACCOUNT_DISABLED");
}

#[tokio::test]
async fn rejects_deleted_users_and_expired_sessions() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;

    ann.set_status("deleted").await;
    expire(&bob).await;

    for user in [ann, bob] {
        user.get(ME).await.assert_error(401, "INVALID_TOKEN");
    }
}

#[tokio::test]
async fn a_revoked_session_stops_within_ten_seconds() {
    let world = World::start().await;
    let user = world.user("ann").await;
    // Caches the session.
    user.get(ME).await.data();

    revoke(&user).await;

    refuses(&user, world.address).await;
}

/// Sets the refresh token of a session.
async fn renewable(user: &User<'_>, token: &str) {
    sqlx::query("UPDATE sessions SET refresh_token_hash = $2 WHERE id = $1")
        .bind(user.session)
        .bind(Sha256::digest(token).to_vec())
        .execute(user.world.pool())
        .await
        .expect("a refresh token");
}

/// Waits until a replica refuses the token.
async fn refuses(user: &User<'_>, address: SocketAddr) {
    eventually("the token is refused", NOTICED_WITHIN, async || {
        let answer = user.send_at(address, Method::GET, ME, None).await;
        anyhow::ensure!(answer.status == 401, "still {}", answer.status);
        Ok(())
    })
    .await
    .expect("refused");
}

#[tokio::test]
async fn a_sign_out_reaches_every_replica_within_ten_seconds() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let replica = world.replica().await;
    for address in [world.address, replica] {
        let me = user.send_at(address, Method::GET, ME, None).await;
        me.data();
    }

    let left = user.post_empty("/v1/auth/logout").await;

    assert_eq!(left.data()["message"], "You are signed out.");
    user.get(ME).await.assert_error(401, "INVALID_TOKEN");
    refuses(&user, replica).await;
    let session = user.session.to_string();
    assert_eq!(world.audited(&session).await, ["session.end"]);
}

#[tokio::test]
async fn a_sign_out_keeps_other_sessions_of_the_user() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let other = world.session(user.id).await;
    let other = world.token(user.id, other, chrono::Duration::hours(1));

    user.post_empty("/v1/auth/logout").await.data();

    world.get_as(&other, ME).await.data();
}

#[tokio::test]
async fn a_refresh_token_works_until_its_session_ends() {
    let world = World::start().await;
    let user = world.user("ann").await;
    renewable(&user, "the-refresh-token").await;
    let body = json!({"refresh_token": "the-refresh-token"});

    for _ in 0..2 {
        let answer = world.post(REFRESH, body.clone()).await;
        answer.assert_not_cached();
        let tokens = answer.data();
        assert_eq!(tokens["refresh_token"], "the-refresh-token");
        assert_eq!(tokens["token_type"], "Bearer");
        assert_eq!(tokens["expires_in"], 3600);
        let me = world.get_as(&text(&tokens["access_token"]), ME).await;
        assert_eq!(me.data()["username"], "ann");
    }

    user.post_empty("/v1/auth/logout").await.data();
    let ended = world.post(REFRESH, body).await;
    ended.assert_error(401, "INVALID_TOKEN");
}

#[tokio::test]
async fn rejects_a_wrong_refresh_token() {
    let world = World::start().await;
    let user = world.user("ann").await;
    renewable(&user, "the-refresh-token").await;
    let token = |token: &str| json!({"refresh_token": token});

    for (body, status, code) in [
        (token("another"), 401, "INVALID_TOKEN"),
        // An access token.
        (token(&user.token), 401, "INVALID_TOKEN"),
        (token(&"a".repeat(513)), 400, "INVALID_VALUE"),
        (json!({}), 400, "MISSING_FIELD"),
    ] {
        world.post(REFRESH, body).await.assert_error(status, code);
    }
}

#[tokio::test]
async fn a_refresh_token_ends_with_its_session_and_its_user() {
    let world = World::start().await;
    let user = world.user("ann").await;
    renewable(&user, "the-refresh-token").await;
    let body = json!({"refresh_token": "the-refresh-token"});

    expire(&user).await;
    let expired = world.post(REFRESH, body.clone()).await;
    expired.assert_error(401, "INVALID_TOKEN");

    user.set_status("disabled").await;
    let disabled = world.post(REFRESH, body).await;
    disabled.assert_error(403, "ACCOUNT_DISABLED");
}

#[tokio::test]
async fn lists_the_active_sessions_of_the_caller() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let other = world.session(ann.id).await;
    let ended = world.session(ann.id).await;
    let revoke = "UPDATE sessions SET revoked_at = now() WHERE id = $1";
    world.run(revoke, ended).await;

    let listed = ann.get(SESSIONS).await;

    let ids: Vec<_> = listed
        .list("sessions")
        .iter()
        .map(|session| (session["id"].clone(), session["current"].clone()))
        .collect();
    assert_eq!(
        ids,
        [
            (json!(other), json!(false)),
            (json!(ann.session), json!(true))
        ]
    );
    bob.get(SESSIONS)
        .await
        .assert_lacks(&ann.session.to_string());
}

#[tokio::test]
async fn the_last_use_of_a_session_is_at_most_a_minute_old() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let age = "UPDATE sessions SET last_used_at = now() - interval '46 seconds' WHERE id = $1";
    world.run(age, ann.session).await;

    ann.get(ME).await.data();

    let is_recent: bool = world
        .scalar("SELECT last_used_at > now() - interval '15 seconds' FROM sessions")
        .await;
    assert!(is_recent);
}

#[tokio::test]
async fn an_ended_session_stops_on_every_replica() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let replica = world.replica().await;
    let other = User {
        world: &world,
        id: ann.id,
        session: world.session(ann.id).await,
        token: String::new(),
    };
    let other = User {
        token: world.token(ann.id, other.session, chrono::Duration::hours(1)),
        ..other
    };
    other.send_at(replica, Method::GET, ME, None).await.data();

    let path = format!("{SESSIONS}/{}", other.session);
    ann.delete(&path).await.data();

    refuses(&other, replica).await;
    ann.get(ME).await.data();
    ann.delete(&path).await.assert_error(404, "NOT_FOUND");
    let audited = world.audited(&other.session.to_string()).await;
    assert_eq!(audited, ["session.end"]);
}

#[tokio::test]
async fn only_the_owner_and_admins_end_a_session() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let root = world.admin("root").await;
    let path = format!("{SESSIONS}/{}", ann.session);

    bob.delete(&path).await.assert_error(404, "NOT_FOUND");
    root.delete(&path).await.data();

    ann.get(ME).await.assert_error(401, "INVALID_TOKEN");
}

#[tokio::test]
async fn signing_out_everywhere_can_keep_the_current_session() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let other = world.session(ann.id).await;
    let other = world.token(ann.id, other, chrono::Duration::hours(1));

    let kept = ann.post(LOGOUT_ALL, json!({"keep_current": true})).await;

    assert_eq!(kept.data()["ended"], 1);
    world
        .get_as(&other, ME)
        .await
        .assert_error(401, "INVALID_TOKEN");
    ann.get(ME).await.data();

    let all = ann.post(LOGOUT_ALL, json!({})).await;

    assert_eq!(all.data()["ended"], 1);
    ann.get(ME).await.assert_error(401, "INVALID_TOKEN");
    let audited = world.audited(&ann.id.to_string()).await;
    assert_eq!(audited, ["session.end_all"; 2]);
}

/// Signs in with refresh tokens that rotate, and returns the answer.
async fn rotating(world: &World, stub: &Stub) -> Answer {
    let login = json!({"provider": "google", "redirect_uri": REDIRECT, "rotate": true});
    let login = world.post("/v1/auth/login", login).await;
    let auth_url = text(&login.data()["auth_url"]);
    let claims = stub.claims(&auth_url, "g-1", "ann@example.com");
    let code = stub.agree(&auth_url, &claims);
    let callback = json!({"provider": "google", "code": code, "state": login.data()["state"], "redirect_uri": REDIRECT});
    world.post("/v1/auth/callback", callback).await
}

fn refresh_token(answer: &Answer) -> String {
    text(&answer.data()["refresh_token"])
}

async fn refreshed(world: &World, token: &str) -> Answer {
    world.post(REFRESH, json!({"refresh_token": token})).await
}

/// Ends the time in which a replaced refresh token still works.
async fn end_grace(world: &World) {
    world
        .execute("UPDATE sessions SET rotated_at = rotated_at - interval '11 seconds'")
        .await;
}

#[tokio::test]
async fn a_rotating_session_gets_a_new_refresh_token_each_time() {
    let (world, stub) = world_with_providers().await;
    let mut token = refresh_token(&rotating(&world, &stub).await);
    let mut seen = vec![token.clone()];

    for _ in 0..3 {
        let next = refreshed(&world, &token).await;
        let access = text(&next.data()["access_token"]);
        world.get_as(&access, ME).await.data();
        token = refresh_token(&next);
        assert!(!seen.contains(&token), "{token}");
        seen.push(token.clone());
        end_grace(&world).await;
    }
}

#[tokio::test]
async fn simultaneous_refreshes_get_the_same_new_token() {
    let (world, stub) = world_with_providers().await;
    let first = refresh_token(&rotating(&world, &stub).await);

    let tabs = futures_util::future::join_all((0..8).map(|_| refreshed(&world, &first))).await;

    let mut next: Vec<String> = tabs.iter().map(refresh_token).collect();
    next.dedup();
    assert_eq!(next.len(), 1, "{next:?}");
    end_grace(&world).await;
    refreshed(&world, &next[0]).await.data();
}

#[tokio::test]
async fn an_old_refresh_token_ends_its_session() {
    let (world, stub) = world_with_providers().await;
    let signed_in = rotating(&world, &stub).await;
    let stolen = refresh_token(&signed_in);
    let owned = refreshed(&world, &stolen).await;
    end_grace(&world).await;

    refreshed(&world, &stolen)
        .await
        .assert_error(401, "INVALID_TOKEN");

    let newest = refresh_token(&owned);
    refreshed(&world, &newest)
        .await
        .assert_error(401, "INVALID_TOKEN");
    let access = text(&owned.data()["access_token"]);
    world
        .get_as(&access, ME)
        .await
        .assert_error(401, "INVALID_TOKEN");
    let entries: Vec<(Option<uuid::Uuid>, Option<uuid::Uuid>)> = world
        .rows("SELECT user_id, session_id FROM audit_logs WHERE action = 'session.reuse'")
        .await;
    assert!(matches!(entries[..], [(Some(_), Some(_))]), "{entries:?}");
}

#[tokio::test]
async fn a_forged_refresh_token_ends_nothing() {
    let (world, stub) = world_with_providers().await;
    let token = refresh_token(&rotating(&world, &stub).await);

    for place in [0, 20, 24, 30, token.len() - 5] {
        let mut forged = token.clone().into_bytes();
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).expect("text");
        refreshed(&world, &forged)
            .await
            .assert_error(401, "INVALID_TOKEN");
    }

    refreshed(&world, &token).await.data();
}
