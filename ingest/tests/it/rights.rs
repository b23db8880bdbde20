//! The NATS users that `docker/make-secrets` creates have the rights they need, and no others.

mod secrets;

use self::secrets::{Login, Secrets};
use crate::worker::Worker;
use crate::world::{Account, WAIT, World};
use anyhow::{Context, Result, ensure};
use async_nats::{Client, Subscriber, jetstream};
use futures_util::{FutureExt, StreamExt};
use std::path::Path;
use std::time::Duration;
use tiris_domain::event::Kind;
use tiris_testing::{NatsSettings, eventually};
use uuid::Uuid;

/// The broker with the users of compose, and a client of each.
struct System {
    world: World,
    worker: Worker,
    ingest: Client,
    api: Client,
    bot: Client,
    /// A bot of another user.
    neighbour: Client,
    neighbour_id: Uuid,
    /// Wake-ups for the live streams of the bot's user.
    wakes: Subscriber,
}

impl System {
    async fn start() -> Result<Self> {
        let user = Uuid::now_v7();
        let neighbour_id = Uuid::now_v7();
        let secrets = Secrets::make([user, neighbour_id])?;
        let world = world_of(user, &secrets).await?;

        let password = secrets.password("TIRIS_NATS_INGEST_PASSWORD")?;
        let login = format!("nats://ingest:{password}@");
        let url = world.nats.url().replace("nats://", &login);
        let mut worker = Worker::start(world.database.url(), &url, &[])?;
        worker.ready().await?;

        let ingest = Login {
            user: "ingest",
            password,
            inbox: "_INBOX",
        };
        let api = Login {
            user: "api",
            password: secrets.password("TIRIS_NATS_API_PASSWORD")?,
            inbox: "_INBOX",
        };
        let api = api.connect(&world).await?;
        let wakes = api.subscribe(format!("tiris.committed.{user}")).await?;
        Ok(Self {
            ingest: ingest.connect(&world).await?,
            bot: secrets.bot(0)?.connect(&world).await?,
            neighbour: secrets.bot(1)?.connect(&world).await?,
            neighbour_id,
            api,
            wakes,
            world,
            worker,
        })
    }

    async fn wakes_up(&mut self) -> Result<()> {
        let wake = tokio::time::timeout(WAIT, self.wakes.next()).await?;
        wake.context("no wake-up")?;
        Ok(())
    }

    /// Publishes as the bot does.
    async fn publish(&self, payload: String) -> Result<()> {
        let jetstream = jetstream::new(self.bot.clone());
        let publish = jetstream.publish(self.world.subject(), payload.into());
        publish.await?.await?;
        Ok(())
    }

    /// Returns the number of stored events, and of their subjects.
    async fn stored(&self) -> Result<Stored> {
        let state = self.world.stream_info("TRADING").await?.state;
        Ok(Stored {
            messages: state.messages,
            subjects: state.subjects_count,
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stored {
    messages: u64,
    subjects: u64,
}

/// Creates a world whose user is the bot of the secrets.
async fn world_of(user: Uuid, secrets: &Secrets) -> Result<World> {
    let nats = NatsSettings {
        more: secrets.configuration(),
        ..NatsSettings::default()
    };
    let mut world = World::with_nats(nats).await?;

    world.user = user;
    world.trading = Uuid::now_v7();
    world.currency = Uuid::now_v7();
    world.add_user(user, "bob").await?;
    world.add_trading(user, world.trading).await?;

    let account = Account {
        user,
        trading: world.trading,
        id: world.currency,
        symbol: "BTC",
    };

    world.add_account(account).await?;
    Ok(world)
}

#[tokio::test]
async fn ingest_api_and_a_bot_can_do_their_work() -> Result<()> {
    let mut system = System::start().await?;
    let user = system.world.user;

    let wake = format!("tiris.committed.{user}");
    system.api.publish(wake, "".into()).await?;
    system.wakes_up().await?;

    let credit = system.world.btc_credit("1").to_string();
    system.publish(credit).await?;
    system.publish("no event".to_owned()).await?;

    system.world.btc_reaches("1").await?;
    system.wakes_up().await?;
    eventually("the copy of the dead letter", WAIT, async || {
        let copies = system.world.stream_info("TRADING_DLQ").await?;
        ensure!(copies.state.messages == 1, "{copies:?}");
        Ok(())
    })
    .await?;
    system.worker.stops().await
}

#[tokio::test]
async fn no_login_publishes_for_others_or_manages_streams() -> Result<()> {
    let mut system = System::start().await?;
    system.publish("no event".to_owned()).await?;
    let credit = system.world.btc_credit("1").to_string();
    let own = system.world.subject();
    let foreign = Kind::BalanceUpdated.subject_of(Uuid::now_v7());
    let deletion = "$JS.API.STREAM.DELETE.TRADING".to_owned();

    let attempts = [
        (&system.bot, foreign),
        (&system.api, own.clone()),
        (&system.ingest, own),
        (&system.bot, deletion),
    ];
    for (client, subject) in attempts {
        let payload = credit.clone().into();
        client.publish(subject, payload).await?;
        client.flush().await?;
    }

    let info = system.world.stream_info("TRADING").await?;
    assert_eq!(info.state.messages, 1);
    system.worker.stops().await
}

#[tokio::test]
async fn a_bot_reads_no_wake_ups() -> Result<()> {
    let mut system = System::start().await?;
    let mut wakes = system.bot.subscribe("tiris.committed.>").await?;
    system.bot.flush().await?;

    let credit = system.world.btc_credit("1").to_string();
    system.publish(credit).await?;
    system.world.btc_reaches("1").await?;
    system.wakes_up().await?;
    system.bot.flush().await?;

    let message = wakes.next().now_or_never().flatten();
    assert!(message.is_none(), "{message:?}");
    system.worker.stops().await
}

#[tokio::test]
async fn bots_leave_connections_to_other_accounts() -> Result<()> {
    let secrets = Secrets::make([Uuid::now_v7(), Uuid::now_v7()])?;
    let configuration = secrets.configuration();
    let narrow = configuration.replace("max_connections: 4096", "max_connections: 2");
    assert_ne!(narrow, configuration);
    let world = World::with_nats(NatsSettings {
        more: narrow,
        ..NatsSettings::default()
    })
    .await?;

    let _first = secrets.bot(0)?.connect(&world).await?;
    let _second = secrets.bot(0)?.connect(&world).await?;

    let refused = secrets.bot(0)?.connect(&world).await;
    assert!(refused.is_err(), "{refused:?}");
    let ingest = Login {
        user: "ingest",
        password: secrets.password("TIRIS_NATS_INGEST_PASSWORD")?,
        inbox: "_INBOX",
    };
    ingest.connect(&world).await?;
    Ok(())
}

#[tokio::test]
async fn a_reply_subject_stores_the_message_and_does_nothing_else() -> Result<()> {
    let mut system = System::start().await?;
    let created = system.world.stream_info("TRADING").await?.created;
    let neighbour = system.neighbour_id;
    let own = system.world.subject();
    let mut wakes = system.api.subscribe("tiris.committed.>").await?;
    system.api.flush().await?;

    let replies = [
        Kind::BalanceUpdated.subject_of(neighbour),
        Kind::OrderFilled.subject_of(system.world.user),
        "$JS.API.STREAM.DELETE.TRADING".to_owned(),
        "$JS.API.STREAM.PURGE.TRADING_DLQ".to_owned(),
        "$SYS.REQ.SERVER.PING".to_owned(),
        format!("tiris.committed.{neighbour}"),
        "dlq.trading.balance.updated".to_owned(),
    ];
    let count = u64::try_from(replies.len())?;
    for reply in replies {
        let payload = "no event".into();
        let publish = system.bot.publish_with_reply(own.clone(), reply, payload);
        publish.await?;
    }
    // The acknowledgement of a later message on the connection shows that the earlier ones were handled.
    system.publish("the last".to_owned()).await?;

    let expected = Stored {
        messages: count + 1,
        subjects: 1,
    };
    assert_eq!(system.stored().await?, expected);
    let info = system.world.stream_info("TRADING").await?;
    assert_eq!(info.created, created);
    system
        .world
        .rows_reach("dead_letters", i64::try_from(count + 1)?)
        .await?;
    let woken: Vec<String> = std::iter::from_fn(|| wakes.next().now_or_never().flatten())
        .map(|wake| wake.subject.to_string())
        .collect();
    let foreign = format!("tiris.committed.{neighbour}");
    assert!(!woken.contains(&foreign), "{woken:?}");
    system.worker.stops().await
}

#[tokio::test]
async fn a_bot_reaches_no_jetstream_and_no_other_client() -> Result<()> {
    let mut system = System::start().await?;
    let neighbour = system.neighbour_id;
    let mut overheard = Vec::new();
    let inbox = format!("_INBOX_{}.>", system.world.user);
    for subject in [
        &inbox,
        "_INBOX.>",
        "trading.>",
        "dlq.>",
        "$JS.>",
        "$SYS.>",
        ">",
    ] {
        overheard.push(system.neighbour.subscribe(subject.to_owned()).await?);
    }
    system.neighbour.flush().await?;

    let credit = system.world.btc_credit("1").to_string();
    system.publish(credit).await?;
    system.publish("no event".to_owned()).await?;
    system.world.btc_reaches("1").await?;
    // An acknowledgement proves that the neighbour's connection still works, and that nothing is under way to it.
    let jetstream = jetstream::new(system.neighbour.clone());
    let publish = jetstream.publish(Kind::Heartbeat.subject_of(neighbour), "beat".into());
    publish.await?.await?;

    for subscription in &mut overheard {
        let message = subscription.next().now_or_never().flatten();
        assert!(message.is_none(), "{message:?}");
    }
    let mut jetstream = jetstream::new(system.neighbour.clone());
    jetstream.set_timeout(Duration::from_millis(300));
    assert!(jetstream.query_account().await.is_err());
    assert!(jetstream.get_stream("TRADING").await.is_err());
    system.worker.stops().await
}

/// With a wildcard in its place a user could fill any number of subjects, each up to the limit of messages.
#[tokio::test]
async fn a_bot_publishes_every_type_of_event_and_no_other() -> Result<()> {
    let mut system = System::start().await?;
    let user = system.world.user;
    let mut jetstream = jetstream::new(system.bot.clone());
    jetstream.set_timeout(Duration::from_secs(2));

    for kind in Kind::ALL {
        let publish = jetstream.publish(kind.subject_of(user), "no event".into());
        let acknowledged = publish.await?.await;
        acknowledged.with_context(|| kind.subject_of(user))?;
    }
    jetstream.set_timeout(Duration::from_millis(300));
    for subject in [
        format!("trading.orders.invented.{user}"),
        format!("trading.balance.invented.{user}"),
        Kind::OrderFilled.bare_subject().to_owned(),
    ] {
        let acknowledged = jetstream.publish(subject.clone(), "no event".into());
        assert!(acknowledged.await?.await.is_err(), "{subject}");
    }
    system.worker.stops().await
}

#[test]
fn kubernetes_lets_bots_publish_what_compose_does() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let values = std::fs::read_to_string(root.join("k8s/nats/values.yaml"))?;
    let example = std::fs::read_to_string(root.join("k8s/examples/secrets.yaml"))?;

    for kind in Kind::ALL {
        let subject = kind.bare_subject();
        let export = format!("{{service: \"{subject}.*\", accounts: [BOTS]}}");
        let import = format!("{{service: {{account: TIRIS, subject: \"{subject}.*\"}}}}");
        assert!(values.contains(&export), "{export}");
        assert!(values.contains(&import), "{import}");
        assert!(
            example.contains(&format!("\"{subject}.USER_ID\"")),
            "{subject}"
        );
    }
    let services = values.matches("service:").count();
    assert_eq!(services, 2 * Kind::ALL.len());
    assert_eq!(example.matches(".USER_ID\"").count(), Kind::ALL.len());
    Ok(())
}

/// Returns the subjects of each list `allow: [...]` of ours and of a bot, in order.
fn allowed(users: &str) -> Vec<Vec<String>> {
    let lists = users.split("allow: [").skip(1);
    let lists = lists.filter_map(|rest| rest.split(']').next());
    let subjects = lists.map(|list| {
        let subjects = list.split('"').skip(1).step_by(2);
        subjects
            .map(|subject| subject.replace("USER_ID", "$id"))
            .collect()
    });
    subjects.collect()
}

#[test]
fn compose_and_kubernetes_give_the_same_rights() {
    let compose = allowed(include_str!("../../../docker/make-secrets"));
    let kubernetes = allowed(include_str!("../../../k8s/examples/secrets.yaml"));

    // Publishing and subscribing of the API, of ingest and of a bot.
    assert_eq!(compose.len(), 6, "{compose:?}");
    assert_eq!(kubernetes, compose);
}
