//! What one publisher publishes, drawn before the run.
//!
//! Owns: the order of messages, exact duplicates, poison, events that come before what they are for. Must not know: NATS.

use super::book::{self, Book};
use super::event::{Message, Origin};
use super::people::{Late, User};
use super::poison;
use crate::seed::{self, Purpose};
use rand::RngExt;
use rand::rngs::StdRng;
use uuid::Uuid;

/// In hundredths of all messages.
const DUPLICATES: u32 = 5;
const POISON: u32 = 1;
const LATE: u32 = 1;
/// So many messages back most duplicates go; the others go back anywhere.
const RECENT: usize = 50;

/// One step of a publisher.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) message: Message,
    pub(crate) sort: Sort,
    /// The user and the number of the late thing it is for.
    pub(crate) late: Option<(usize, usize)>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Event(&'static str),
    Duplicate,
    Poison(&'static str),
}

/// Draws the script of one publisher: `count` steps, beside the first money of every account.
pub(crate) fn draw(seed: u64, publisher: usize, users: &[User], count: usize) -> Vec<Step> {
    let mut rng = seed::stream(seed, Purpose::Publisher(publisher));
    let mut bots: Vec<Bot> =
        users.iter().filter(|user| user.publisher() == publisher).map(Bot::new).collect();
    let mut steps: Vec<Step> = bots.iter_mut().flat_map(Bot::begin).collect();
    for made in 0..count {
        let which = rng.random_range(0..bots.len());
        let step = match rng.random_range(0..100) {
            drawn if drawn < DUPLICATES => again(&steps, &mut rng),
            drawn if drawn < DUPLICATES + POISON => bots[which].poison(&mut rng),
            drawn if drawn < DUPLICATES + POISON + LATE => bots[which].late(made, count, &mut rng),
            _ => bots[which].event(&mut rng),
        };
        steps.push(step);
    }
    steps
}

/// An earlier event, to the byte.
fn again(steps: &[Step], rng: &mut StdRng) -> Step {
    loop {
        let back = if rng.random_ratio(2, 3) { steps.len().min(RECENT) } else { steps.len() };
        let earlier = &steps[steps.len() - rng.random_range(1..=back)];
        if !matches!(earlier.sort, Sort::Poison(_)) {
            return Step { message: earlier.message.clone(), sort: Sort::Duplicate, late: earlier.late };
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
}

impl<'a> Bot<'a> {
    fn new(user: &'a User) -> Self {
        let late = user.late.iter().map(|late| match late {
            Late::Trading(trading) => Some(Book::new(trading.clone())),
            Late::Account { .. } => None,
        });
        Self {
            user,
            books: user.tradings.iter().cloned().map(Book::new).collect(),
            late: late.collect(),
            begun: vec![false; user.late.len()],
            number: 0,
        }
    }

    fn origin(&mut self, trading: Uuid) -> Origin {
        self.number += 1;
        Origin { user: self.user.id, trading, number: self.number }
    }

    fn begin(&mut self) -> Vec<Step> {
        let user = self.user;
        let accounts = user
            .tradings
            .iter()
            .flat_map(|trading| trading.accounts.iter().map(|account| (trading.id, account)));
        accounts.map(|(trading, account)| event(book::opening(account, self.origin(trading)), None)).collect()
    }

    fn event(&mut self, rng: &mut StdRng) -> Step {
        let at = rng.random_range(0..self.books.len());
        let origin = self.origin(self.books[at].trading.id);
        event(self.books[at].next(origin, rng), None)
    }

    fn poison(&mut self, rng: &mut StdRng) -> Step {
        let trading = &self.user.tradings[rng.random_range(0..self.user.tradings.len())];
        let origin = self.origin(trading.id);
        let (name, message) = poison::draw(&trading.accounts[1], origin, rng);
        Step { message, sort: Sort::Poison(name), late: None }
    }

    /// An event for one of the things that come late; they begin one after the other over the run.
    fn late(&mut self, made: usize, count: usize, rng: &mut StdRng) -> Step {
        let begun = (made * self.late.len() / count + 1).min(self.late.len());
        let at = rng.random_range(0..begun);
        let late = Some((self.user.number, at));
        let first = !std::mem::replace(&mut self.begun[at], true);
        let user = self.user;
        match &user.late[at] {
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

fn event((kind, message): (&'static str, Message), late: Option<(usize, usize)>) -> Step {
    Step { message, sort: Sort::Event(kind), late }
}
