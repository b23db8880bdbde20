//! The scripts of the publishers, drawn before the run: the order of messages, exact duplicates, poison, events for late
//! resources.

use super::book::{self, Book};
use super::event::{Message, Origin};
use super::late::LateResource;
use super::poison;
use super::users::{self, PUBLISHERS, User};
use crate::seed::{self, Purpose};
use anyhow::Result;
use rand::RngExt;
use rand::rngs::StdRng;
use uuid::Uuid;

/// The share of duplicates, in hundredths of all messages.
const DUPLICATES: u32 = 5;
const POISON: u32 = 1;
const LATE: u32 = 1;
/// One in this many events has the id of an earlier event and other content.
const REUSED_ONE_IN: u32 = 300;
/// Most duplicates repeat one of this many latest messages; the others repeat any message.
const RECENT: usize = 50;

/// The name that events with a used id are counted under.
const REUSED: &str = "an id used before";

/// A message of a publisher.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) message: Message,
    pub(crate) sort: Sort,
    /// The late resource that the message is for.
    pub(crate) late: Option<LateResource>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Event(&'static str),
    Duplicate,
    Poison(&'static str),
}

/// Draws users and a script for each publisher, about `events` steps together, on a thread where that may take a while.
pub(crate) async fn draw_all(seed: u64, events: u32) -> Result<(Vec<User>, Vec<Vec<Step>>)> {
    let each = usize::try_from(events)? / PUBLISHERS;
    let draw = move || {
        let users = users::draw(&mut seed::stream(seed, Purpose::Users));
        let publishers = 0..PUBLISHERS;
        let scripts = publishers.map(|publisher| draw(seed, publisher, &users, each));
        let scripts = scripts.collect();
        (users, scripts)
    };
    Ok(tokio::task::spawn_blocking(draw).await?)
}

/// Draws the script of a publisher: `count` steps after the first credits of every account.
fn draw(seed: u64, publisher: usize, users: &[User], count: usize) -> Vec<Step> {
    let mut rng = seed::stream(seed, Purpose::Publisher(publisher));
    let own = users.iter().filter(|user| user.publisher() == publisher);
    let (mut late_bots, mut bots): (Vec<Bot>, Vec<Bot>) =
        own.map(Bot::new).partition(|bot| bot.user.is_late);
    let all = bots.iter_mut().chain(&mut late_bots);
    let mut steps: Vec<Step> = all.flat_map(Bot::begin).collect();

    for drawn in 0..count {
        let which = rng.random_range(0..bots.len());
        let step = match rng.random_range(0..100) {
            sort if sort < DUPLICATES => duplicate(&steps, &mut rng),
            sort if sort < DUPLICATES + POISON => bots[which].poison(&mut rng),
            sort if sort < DUPLICATES + POISON + LATE => match late_bots.first_mut() {
                Some(bot) if rng.random() => bot.event(&mut rng),
                _ => bots[which].late(drawn, count, &mut rng),
            },
            _ => bots[which].event(&mut rng),
        };
        steps.push(step);
    }
    steps
}

/// Repeats an earlier event to the byte.
fn duplicate(steps: &[Step], rng: &mut StdRng) -> Step {
    loop {
        let back = if rng.random_ratio(2, 3) {
            steps.len().min(RECENT)
        } else {
            steps.len()
        };
        let earlier = &steps[steps.len() - rng.random_range(1..=back)];
        if !matches!(earlier.sort, Sort::Poison(_)) {
            return Step {
                sort: Sort::Duplicate,
                ..earlier.clone()
            };
        }
    }
}

struct Bot<'a> {
    user: &'a User,
    books: Vec<Book>,
    /// The books of late resources after their first event.
    late: Vec<Option<Book>>,
    number: u32,
    /// The numbers of events in the stream that moves money. Across streams the order of two events is undefined.
    used: Vec<u32>,
}

impl<'a> Bot<'a> {
    fn new(user: &'a User) -> Self {
        Self {
            user,
            books: user.tradings.iter().cloned().map(Book::new).collect(),
            late: vec![None; user.late.len()],
            number: 0,
            used: Vec::new(),
        }
    }

    /// Returns an event, which waits for the user if the user is late.
    fn step(&self, kind: &'static str, message: Message) -> Step {
        let user = self.user;
        let resource = LateResource {
            user: user.number,
            at: None,
        };
        Step {
            message,
            sort: Sort::Event(kind),
            late: user.is_late.then_some(resource),
        }
    }

    fn origin(&mut self, trading: Uuid) -> Origin {
        self.number += 1;
        Origin {
            user: self.user.id,
            trading,
            number: self.number,
        }
    }

    /// Returns the first credits of all accounts.
    fn begin(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for trading in &self.user.tradings {
            for account in &trading.accounts {
                let (kind, message) = book::opening(account, self.origin(trading.id));
                steps.push(self.step(kind, message));
            }
        }
        steps
    }

    fn event(&mut self, rng: &mut StdRng) -> Step {
        let at = rng.random_range(0..self.books.len());
        if !self.used.is_empty() && rng.random_ratio(1, REUSED_ONE_IN) {
            return self.reused(at, rng);
        }
        let origin = self.origin(self.books[at].trading.id);
        let (kind, message) = self.books[at].next(origin, rng);
        if kind.starts_with("trading.orders.") || kind.starts_with("trading.balance.") {
            self.used.push(origin.number);
        }
        self.step(kind, message)
    }

    /// Returns a credit with a used id, possibly of an event that waits behind another one.
    fn reused(&self, at: usize, rng: &mut StdRng) -> Step {
        let trading = &self.books[at].trading;
        let origin = Origin {
            user: self.user.id,
            trading: trading.id,
            number: self.used[rng.random_range(0..self.used.len())],
        };
        let (_, message) = book::opening(&trading.accounts[2], origin);
        self.step(REUSED, message)
    }

    fn poison(&mut self, rng: &mut StdRng) -> Step {
        let trading = &self.user.tradings[rng.random_range(0..self.user.tradings.len())];
        let origin = self.origin(trading.id);
        let (name, message) = poison::draw(&trading.accounts[1], origin, rng);
        Step {
            message,
            sort: Sort::Poison(name),
            late: None,
        }
    }

    /// Returns an event for a late resource; the resources begin one after the other over the run.
    fn late(&mut self, drawn: usize, count: usize, rng: &mut StdRng) -> Step {
        let begun = (drawn * self.late.len() / count + 1).min(self.late.len());
        let at = rng.random_range(0..begun);
        let user = self.user;
        let trading = &user.late[at];
        let origin = self.origin(trading.id);
        let (kind, message) = match (&mut self.late[at], &trading.accounts[..]) {
            (Some(_), [account]) => book::movement(account, origin, None, rng),
            (Some(book), _) => book.next(origin, rng),
            (first, accounts) => {
                *first = Some(Book::new(trading.clone()));
                book::opening(&accounts[accounts.len() / 2], origin)
            }
        };
        let resource = LateResource {
            user: user.number,
            at: Some(at),
        };
        Step {
            late: Some(resource),
            ..self.step(kind, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn drawn(seed: u64) -> Vec<Step> {
        let users = users::draw(&mut seed::stream(seed, Purpose::Users));
        draw(seed, 3, &users, 5_000)
    }

    fn payloads(seed: u64) -> Vec<Vec<u8>> {
        let steps = drawn(seed).into_iter();
        steps.map(|step| step.message.payload).collect()
    }

    #[test]
    fn a_seed_determines_every_byte() {
        assert_eq!(payloads(1), payloads(1));
        assert_ne!(payloads(1), payloads(2));
    }

    #[test]
    fn every_poison_message_is_unique() {
        let steps = drawn(7);
        let poison: Vec<&[u8]> = steps
            .iter()
            .filter(|step| matches!(step.sort, Sort::Poison(_)))
            .map(|step| step.message.payload.as_slice())
            .collect();

        assert_eq!(poison.iter().collect::<BTreeSet<_>>().len(), poison.len());
        assert!((20..100).contains(&poison.len()), "{}", poison.len());
    }

    #[test]
    fn a_script_has_its_share_of_duplicates_and_late_events() {
        let steps = drawn(7);

        let duplicates = steps.iter().filter(|step| step.sort == Sort::Duplicate);
        let duplicates = duplicates.count();
        assert!((150..350).contains(&duplicates), "{duplicates}");

        let late = steps.iter().filter(|step| step.late.is_some()).count();
        assert!((20..120).contains(&late), "{late}");
    }
}
