//! The users of NATS that `docker/make-secrets` makes: their rights are enough for the work, and for nothing else.

use crate::process::Worker;
use crate::world::{WAIT, World};
use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use std::path::Path;
use std::process::Command;
use tiris_domain::event::Kind;
use tiris_testing::{NatsSettings, eventually, scratch_dir};
use uuid::Uuid;

/// What `make-secrets` made: lines of passwords, the broker's users, and what it says of a bot.
struct Secrets {
    environment: String,
    users: String,
    told: String,
}

impl Secrets {
    fn make(bot: Uuid) -> Result<Self> {
        let folder = scratch_dir("rights")?;
        let script = folder.path().join("make-secrets");
        std::fs::copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/make-secrets"),
            &script,
        )?;
        let output = Command::new("bash")
            .arg(&script)
            .args(["bot", &bot.to_string()])
            .output()?;
        ensure!(output.status.success(), "{output:?}");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name));
        let (environment, users) = (read(".env")?, read("secrets/nats/users.conf")?);
        Ok(Self {
            environment,
            users,
            told: String::from_utf8(output.stdout)?,
        })
    }

    /// The broker's users, with the passwords that it would read from its environment.
    fn configuration(&self) -> String {
        let variables = self
            .environment
            .lines()
            .filter_map(|line| line.split_once('='));
        let put =
            |users: String, (name, value): (&str, &str)| users.replace(&format!("${name}"), value);
        let users = variables.fold(self.users.clone(), put);
        // The harness itself gives no name.
        format!("no_auth_user: admin\nauthorization {{\n{users}}}")
    }

    fn password(&self, name: &str) -> Result<&str> {
        let line = self
            .environment
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.with_context(|| format!("no {name}"))
    }

    fn told(&self, what: &str) -> Result<String> {
        let line = self.told.lines().find_map(|line| line.strip_prefix(what));
        Ok(line
            .with_context(|| format!("no {what}"))?
            .trim()
            .to_owned())
    }
}

#[tokio::test]
async fn ingest_api_and_a_bot_do_their_work_with_the_rights_of_compose_and_nothing_else()
-> Result<()> {
    let bot = Uuid::now_v7();
    let secrets = Secrets::make(bot)?;
    let more = secrets.configuration();
    let mut world = World::with_nats(NatsSettings {
        more,
        ..NatsSettings::default()
    })
    .await?;
    [world.user, world.trading, world.currency] = [bot, Uuid::now_v7(), Uuid::now_v7()];
    world.add_user(bot, "bob").await?;
    world.add_trading(bot, world.trading).await?;
    world
        .add_account(bot, world.trading, world.currency, "BTC")
        .await?;

    let password = secrets.password("TIRIS_NATS_INGEST_PASSWORD")?;
    let url = world
        .nats
        .url()
        .replace("nats://", &format!("nats://ingest:{password}@"));
    let mut worker = Worker::start(world.database.url(), &url)?;
    worker.ready().await?;

    let connect = async |user: &str, password: &str, inbox: &str| {
        let login = async_nats::ConnectOptions::with_user_and_password(
            user.to_owned(),
            password.to_owned(),
        );
        login
            .custom_inbox_prefix(inbox)
            .connect(world.nats.url())
            .await
    };
    let api = connect(
        "api",
        secrets.password("TIRIS_NATS_API_PASSWORD")?,
        "_INBOX",
    )
    .await?;
    let mut wakes = api.subscribe(format!("tiris.committed.{bot}")).await?;
    api.publish(format!("tiris.committed.{bot}"), "".into())
        .await?;
    tokio::time::timeout(WAIT, wakes.next())
        .await?
        .context("no wake-up")?;

    // An event of its own is booked, one that cannot be is put aside and copied, and whoever follows is told.
    let client = connect(
        &secrets.told("user")?,
        &secrets.told("password")?,
        &secrets.told("inbox prefix")?,
    )
    .await?;
    let publisher = async_nats::jetstream::new(client.clone());
    let subject = Kind::BalanceUpdated.subject_of(bot);
    let credit = world.credit(world.currency, "BTC", "1").to_string();
    for payload in [credit.clone(), "no event".to_owned()] {
        publisher
            .publish(subject.clone(), payload.into())
            .await?
            .await?;
    }
    world.balance_reaches(world.currency, "1").await?;
    tokio::time::timeout(WAIT, wakes.next())
        .await?
        .context("no wake-up")?;
    eventually("the copy of the letter", WAIT, async || {
        let copies = world.jetstream().get_stream("TRADING_DLQ").await?;
        ensure!(copies.cached_info().state.messages == 1);
        Ok(())
    })
    .await?;

    // Nobody else can speak for this user, nor the bot for others; neither reads what is not its own.
    let other = Kind::BalanceUpdated.subject_of(Uuid::now_v7());
    let ingest = connect("ingest", password, "_INBOX").await?;
    for (client, subject) in [(&client, &other), (&api, &subject), (&ingest, &subject)] {
        client
            .publish(subject.clone(), credit.clone().into())
            .await?;
        client.flush().await?;
    }
    client
        .publish("$JS.API.STREAM.DELETE.TRADING", "".into())
        .await?;
    client.flush().await?;
    let stream = world.jetstream().get_stream("TRADING").await?;
    assert_eq!(stream.cached_info().state.messages, 2);
    let mut overheard = client.subscribe("tiris.committed.>").await?;
    client.flush().await?;
    publisher
        .publish(
            subject,
            world.credit(world.currency, "BTC", "1").to_string().into(),
        )
        .await?
        .await?;
    world.balance_reaches(world.currency, "2").await?;
    tokio::time::timeout(WAIT, wakes.next())
        .await?
        .context("no wake-up")?;
    client.flush().await?;
    assert!(
        futures_util::FutureExt::now_or_never(overheard.next())
            .is_none_or(|message| message.is_none())
    );
    worker.stops().await
}
