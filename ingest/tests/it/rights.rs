//! The NATS users that `docker/make-secrets` creates have the rights they need, and no others.

use crate::worker::Worker;
use crate::world::{Account, WAIT, World};
use anyhow::{Context, Result, ensure};
use async_nats::{Client, Subscriber, jetstream};
use futures_util::{FutureExt, StreamExt};
use std::path::Path;
use std::process::Command;
use tiris_domain::event::Kind;
use tiris_testing::{NatsSettings, eventually, scratch_dir};
use uuid::Uuid;

/// The output of `make-secrets`: passwords, the broker's users, and the login of a bot.
struct Secrets {
    environment: String,
    users: String,
    printed: String,
}

impl Secrets {
    fn make(bot: Uuid) -> Result<Self> {
        let folder = scratch_dir("rights")?;
        let script = folder.path().join("make-secrets");
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/make-secrets");
        std::fs::copy(original, &script)?;

        let output = Command::new("bash")
            .arg(&script)
            .args(["bot", &bot.to_string()])
            .output()?;
        ensure!(output.status.success(), "{output:?}");

        let read = |name: &str| std::fs::read_to_string(folder.path().join(name));
        Ok(Self {
            environment: read(".env")?,
            users: read("secrets/nats/users.conf")?,
            printed: String::from_utf8(output.stdout)?,
        })
    }

    /// Returns the broker's users, with the passwords that it would read from its environment.
    fn configuration(&self) -> String {
        let variables = self
            .environment
            .lines()
            .filter_map(|line| line.split_once('='));
        let put =
            |users: String, (name, value): (&str, &str)| users.replace(&format!("${name}"), value);
        let users = variables.fold(self.users.clone(), put);
        // The harness connects without a user.
        format!("no_auth_user: admin\nauthorization {{\n{users}}}")
    }

    fn password(&self, name: &str) -> Result<&str> {
        let line = self
            .environment
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.with_context(|| format!("no {name}"))
    }

    fn printed(&self, what: &str) -> Result<&str> {
        let mut lines = self.printed.lines();
        let line = lines.find_map(|line| line.strip_prefix(what));
        Ok(line.with_context(|| format!("no {what}"))?.trim())
    }
}

/// A login to the broker.
struct Login<'a> {
    user: &'a str,
    password: &'a str,
    inbox: &'a str,
}

impl Login<'_> {
    async fn connect(&self, world: &World) -> Result<Client> {
        let options = async_nats::ConnectOptions::with_user_and_password(
            self.user.to_owned(),
            self.password.to_owned(),
        );
        let options = options.custom_inbox_prefix(self.inbox);
        Ok(options.connect(world.nats.url()).await?)
    }
}

/// The broker with the users of compose, and a client of each.
struct System {
    world: World,
    worker: Worker,
    ingest: Client,
    api: Client,
    bot: Client,
    /// Wake-ups for the live streams of the bot's user.
    wakes: Subscriber,
}

impl System {
    async fn start() -> Result<Self> {
        let user = Uuid::now_v7();
        let secrets = Secrets::make(user)?;
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
        let bot = Login {
            user: secrets.printed("user")?,
            password: secrets.printed("password")?,
            inbox: secrets.printed("inbox prefix")?,
        };
        let api = api.connect(&world).await?;
        let wakes = api.subscribe(format!("tiris.committed.{user}")).await?;
        Ok(Self {
            ingest: ingest.connect(&world).await?,
            bot: bot.connect(&world).await?,
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
