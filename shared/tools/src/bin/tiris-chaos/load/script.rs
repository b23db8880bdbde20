//! What one publisher publishes, drawn before the run.
//!
//! Owns: the order of messages, exact duplicates, poison, events that come before what they are for. Must not know: NATS.

use super::book::{self, Book};
use super::event::{Message, Origin};
use super::late::LateThing;
use super::people::{Late, PUBLISHERS, User};
use super::poison;
use crate::seed::{self, Purpose};
use anyhow::Result;
use rand::RngExt;
use rand::rngs::StdRng;
use std::sync::Arc;
use uuid::Uuid;

/// In hundredths of all messages.
const DUPLICATES: u32 = 5;
const POISON: u32 = 1;
const LATE: u32 = 1;
/// One in so many events takes the id of an earlier one and says something else.
const REUSED_ONE_IN: u32 = 300;
/// So many messages back most duplicates go; the others go back anywhere.
const RECENT: usize = 50;

/// What such an event is counted as.
const REUSED: &str = "an id used before";

/// One step of a publisher.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) message: Message,
    pub(crate) sort: Sort,
    /// The late thing it is for.
    pub(crate) late: Option<LateThing>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Event(&'static str),
    Duplicate,
    Poison(&'static str),
}

/// Draws the script of every publisher, about `events` steps together. That takes a while, and nothing else may wait.
pub(crate) async fn draw_all(
    seed: u64,
    users: &Arc<Vec<User>>,
    events: u32,
) -> Result<Vec<Vec<Step>>> {
    let each = usize::try_from(events)? / PUBLISHERS;
    let users = users.clone();
    let draw = move || {
        let scripts = (0..PUBLISHERS).map(|publisher| draw(seed, publisher, &users, each));
        scripts.collect()
    };
    Ok(tokio::task::spawn_blocking(draw).await?)
}

/// Draws the script of one publisher: `count` steps, beside the first money of every account.
fn draw(seed: u64, publisher: usize, users: &[User], count: usize) -> Vec<Step> {
    let mut rng = seed::stream(seed, Purpose::Publisher(publisher));
    let own = users.iter().filter(|user| user.publisher() == publisher);
    let (mut newcomers, mut bots): (Vec<Bot>, Vec<Bot>) =
        own.map(Bot::new).partition(|bot| bot.user.comes_late());
    let everybody = bots.iter_mut().chain(&mut newcomers);
    let mut steps: Vec<Step> = everybody.flat_map(Bot::begin).collect();

    for made in 0..count {
        let which = rng.random_range(0..bots.len());
        let step = match rng.random_range(0..100) {
            drawn if drawn < DUPLICATES => again(&steps, &mut rng),
            drawn if drawn < DUPLICATES + POISON => bots[which].poison(&mut rng),
            drawn if drawn < DUPLICATES + POISON + LATE => match newcomers.first_mut() {
                Some(newcomer) if rng.random() => newcomer.event(&mut rng),
                _ => bots[which].late(made, count, &mut rng),
            },
            _ => bots[which].event(&mut rng),
        };
        steps.push(step);
    }
    steps
}

/// An earlier event, to the byte.
fn again(steps: &[Step], rng: &mut StdRng) -> Step {
    loop {
        let back = if rng.random_ratio(2, 3) {
            steps.len().min(RECENT)
        } else {
            steps.len()
        };
        let earlier = &steps[steps.len() - rng.random_range(1..=back)];
        if !matches!(earlier.sort, Sort::Poison(_)) {
            return Step {
                message: earlier.message.clone(),
                sort: Sort::Duplicate,
                late: earlier.late,
            };
        }
    }
}

struct Bot<'a> {
    user: &'a User,
    books: Vec<Book>,
    /// Of late tradings; none for late accounts.
    late: Vec<Option<Book>>,
    /// Whether the first money went to the late thing.
    begun: Vec<bool>,
    number: u32,
    /// Numbers of events of the stream that moves money. Of two streams nobody can say which event was first.
    used: Vec<u32>,
}

impl<'a> Bot<'a> {
    fn new(user: &'a User) -> Self {
        let late = user.late.iter().map(|late| match late {
            Late::Trading(trading) => Some(Book::new(trading.clone())),
            Late::Account { .. } | Late::User => None,
        });
        Self {
            user,
            books: user.tradings.iter().cloned().map(Book::new).collect(),
            late: late.collect(),
            begun: vec![false; user.late.len()],
            number: 0,
            used: Vec::new(),
        }
    }

    /// What every event of a user waits for who comes late.
    fn waits_for(&self) -> Option<LateThing> {
        self.user.comes_late().then(|| self.late_thing(0))
    }

    fn late_thing(&self, at: usize) -> LateThing {
        LateThing {
            user: self.user.number,
            at,
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

    fn begin(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for trading in &self.user.tradings {
            for account in &trading.accounts {
                let opening = book::opening(account, self.origin(trading.id));
                steps.push(event(opening, self.waits_for()));
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
        event((kind, message), self.waits_for())
    }

    /// Money under an id that was used before, be it for an event that waits behind another.
    fn reused(&self, at: usize, rng: &mut StdRng) -> Step {
        let trading = &self.books[at].trading;
        let number = self.used[rng.random_range(0..self.used.len())];
        let origin = Origin {
            user: self.user.id,
            trading: trading.id,
            number,
        };
        let (_, message) = book::opening(&trading.accounts[2], origin);
        Step {
            message,
            sort: Sort::Event(REUSED),
            late: self.waits_for(),
        }
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

    /// An event for one of the things that come late; they begin one after the other over the run.
    fn late(&mut self, made: usize, count: usize, rng: &mut StdRng) -> Step {
        let begun = (made * self.late.len() / count + 1).min(self.late.len());
        let at = rng.random_range(0..begun);
        let late = Some(self.late_thing(at));
        let first = !std::mem::replace(&mut self.begun[at], true);
        let user = self.user;

        match &user.late[at] {
            // Nobody asks a user who is late himself.
            Late::User => self.event(rng),
            Late::Account { trading, account } => {
                let origin = self.origin(*trading);
                let made = if first {
                    book::opening(account, origin)
                } else {
                    book::movement(account, origin, None, rng)
                };
                event(made, late)
            }
            Late::Trading(trading) => {
                let origin = self.origin(trading.id);
                match &mut self.late[at] {
                    Some(book) if !first => event(book.next(origin, rng), late),
                    _ => event(book::opening(&trading.accounts[1], origin), late),
                }
            }
        }
    }
}

fn event((kind, message): (&'static str, Message), late: Option<LateThing>) -> Step {
    Step {
        message,
        sort: Sort::Event(kind),
        late,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::people;
    use std::collections::BTreeSet;

    fn drawn(seed: u64) -> Vec<Step> {
        let users = people::draw(&mut seed::stream(seed, Purpose::People));
        draw(seed, 3, &users, 5_000)
    }

    #[test]
    fn a_seed_determines_every_byte() {
        let bytes = |seed| {
            drawn(seed)
                .into_iter()
                .map(|step| step.message.payload)
                .collect::<Vec<_>>()
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn every_poison_is_unlike_any_other_and_there_is_about_as_much_of_everything_as_is_said() {
        let steps = drawn(7);
        let poison: Vec<&[u8]> = steps
            .iter()
            .filter(|step| matches!(step.sort, Sort::Poison(_)))
            .map(|step| step.message.payload.as_slice())
            .collect();
        assert_eq!(poison.iter().collect::<BTreeSet<_>>().len(), poison.len());
        assert!((20..100).contains(&poison.len()), "{}", poison.len());

        let duplicates = steps
            .iter()
            .filter(|step| step.sort == Sort::Duplicate)
            .count();
        assert!((150..350).contains(&duplicates), "{duplicates}");
        let late = steps.iter().filter(|step| step.late.is_some()).count();

        assert!((20..120).contains(&late), "{late}");
    }
}
