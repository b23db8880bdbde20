use super::*;
use governor::clock::FakeRelativeClock;

fn limits(rate: u32) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let rate = NonZeroU32::new(rate);
    let rates = RateSettings {
        general: rate,
        auth: rate,
        money: rate,
        credentials: None,
    };
    (Limits::with_clock(rates, clock.clone()), clock)
}

fn user(id: u128) -> Holder {
    Holder::User(Uuid::from_u128(id))
}

fn at(address: &str) -> Holder {
    Holder::at(address.parse().expect("an address"))
}

#[tokio::test]
async fn refills_an_allowance_evenly() {
    let (limits, clock) = limits(3);
    let take = async || {
        let standing = limits.take(Class::General, user(1)).await.expect("limited");
        assert_eq!(standing.limit, 3);
        (standing.remaining, standing.reset, standing.retry_after)
    };

    assert_eq!(take().await, (2, 20, None));
    assert_eq!(take().await, (1, 40, None));
    assert_eq!(take().await, (0, 60, None));
    assert_eq!(take().await, (0, 60, Some(20)));
    clock.advance(Duration::from_millis(500));
    assert_eq!(
        take().await,
        (0, 60, Some(20)),
        "rounded up, so that a retry after this time succeeds"
    );
    clock.advance(Duration::from_millis(19_500));
    assert_eq!(
        take().await,
        (0, 60, None),
        "a third of a minute refills one of three"
    );
    assert_eq!(take().await, (0, 60, Some(20)));
    clock.advance(Duration::from_secs(60));
    assert_eq!(take().await, (2, 20, None), "a minute refills all");
}

#[tokio::test]
async fn classes_and_holders_have_separate_allowances() {
    let (limits, _clock) = limits(1);

    for (class, holder) in [
        (Class::General, user(1)),
        (Class::General, user(2)),
        (Class::Money, user(1)),
        (Class::General, at("192.0.2.1")),
        (Class::Auth, at("192.0.2.1")),
        (Class::General, at("2001:db8:0:1::1")),
        (Class::General, at("2001:db8:0:2::1")),
    ] {
        for refused in [false, true] {
            let standing = limits.take(class, holder).await.expect("limited");
            assert_eq!(
                standing.retry_after.is_some(),
                refused,
                "{class:?} {holder:?}"
            );
        }
    }

    assert_eq!(
        limits.take(Class::Credentials, user(1)).await,
        None,
        "no limit"
    );
    assert_eq!(
        at("2001:db8:0:1::1"),
        at("2001:db8:0:1:ffff::9"),
        "one network, one allowance"
    );
    assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
}

#[tokio::test]
async fn invented_addresses_do_not_grow_the_memory() {
    let (limits, _clock) = limits(1);
    for number in 0..150_000_u32 {
        limits
            .take(
                Class::General,
                Holder::at(std::net::Ipv4Addr::from(number).into()),
            )
            .await;
    }
    limits.allowances.run_pending_tasks().await;
    assert!(
        limits.allowances.entry_count() <= ALLOWANCES_MAX,
        "{}",
        limits.allowances.entry_count()
    );
}
