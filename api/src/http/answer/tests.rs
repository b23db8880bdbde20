use super::*;
use tiris_domain::ids::new_id;

fn answers() -> Answers {
    Answers::new(Arc::new(Semaphore::new(2)), 3)
}

/// Returns whether `future` has to wait.
async fn waits(future: impl Future) -> bool {
    let waited = tokio::time::timeout(Duration::ZERO, future).await;
    waited.is_err()
}

#[tokio::test]
async fn a_user_leaves_large_answers_to_others() {
    let answers = answers();
    let ann = UserId(new_id());
    let bob = UserId(new_id());

    let mut held = Vec::new();
    for _ in 0..LARGE_PER_USER_MAX {
        let mut answer = answers.begin(ann);
        answer.enlarge().await.expect("a permit");
        held.push(answer.held());
    }

    let mut further = answers.begin(ann);
    assert!(waits(further.enlarge()).await, "a further answer waits");
    let mut other = answers.begin(bob);
    other.enlarge().await.expect("another user has permits");
    answers.begin(ann).turn().await.expect("a small answer");

    held.pop();
    further.enlarge().await.expect("the freed permit");
}

#[tokio::test]
async fn a_user_leaves_connections_to_others() {
    let answers = answers();
    let ann = UserId(new_id());
    let bob = UserId(new_id());
    let long = |user| answers.begin(user).long();
    let mut of_ann = long(ann);
    let mut more_of_ann = long(ann);
    let mut of_bob = long(bob);
    let mut of_cleo = long(UserId(new_id()));

    let first = of_ann.turn().await.expect("a turn");
    assert!(waits(more_of_ann.turn()).await, "one long read of a user");
    let _second = of_bob.turn().await.expect("that of another user");
    assert!(waits(of_cleo.turn()).await, "all long reads are under way");

    let mut lists = [answers.begin(ann), answers.begin(ann), answers.begin(ann)];
    let [list, other, further] = &mut lists;
    let _list = list.turn().await.expect("a turn");
    let _other = other.turn().await.expect("a turn");
    assert!(waits(further.turn()).await, "a further read waits");
    answers
        .begin(bob)
        .turn()
        .await
        .expect("that of another user");

    drop(first);
    of_cleo.turn().await.expect("the next long read");
    further.turn().await.expect("the freed turn");
}

#[tokio::test]
async fn small_answers_and_waiting_requests_are_bounded() {
    let answers = answers();
    let ann = UserId(new_id());
    let mut held = Vec::new();
    for _ in 0..SMALL_PER_USER_MAX {
        let mut answer = answers.begin(ann);
        answer.turn().await.expect("a turn");
        held.push(answer.held());
    }

    let mut further = answers.begin(ann);
    assert!(waits(further.turn()).await, "a further answer waits");
    let own = answers.of(ann).await;
    let _all = own.waiting.try_acquire_many(WAITING_PER_USER_MAX);
    let refused = further.turn().await;

    assert!(matches!(refused, Err(Error::TooManyAtOnce { .. })));
}

#[tokio::test]
async fn an_answer_grows_only_with_a_permit() {
    let mut answer = answers().begin(UserId(new_id()));
    answer.add(SMALL_BYTES);

    assert_eq!(answer.room(0), Room::Enough);
    assert_eq!(answer.room(1), Room::OnlyInLarge);
    answer.enlarge().await.expect("a permit");
    assert_eq!(answer.room(1), Room::Enough);
    assert_eq!(answer.room(PAGE_BYTES_MAX), Room::None);
    assert_eq!(answer.part().room(1), Room::None);
}
