-- Dead letters wait for each other by account, belong to the user in their subject, and are removed some time after they
-- were closed.

-- accounts: the sub-accounts that the event names. Later events of the user that name one of them wait while the dead
-- letter is retried. Null in rows of an earlier version, which hold up their whole trading, and where the message is no event.
-- closed_at: when it was replayed or discarded.
-- opened_by, closed_by: the transactions that inserted and closed it, because xmin also changes in between.
ALTER TABLE dead_letters
    ADD COLUMN accounts  uuid[],
    ADD COLUMN closed_at timestamptz,
    ADD COLUMN opened_by bigint,
    ADD COLUMN closed_by bigint;
-- Not as part of ADD COLUMN, which would rewrite the table.
ALTER TABLE dead_letters ALTER COLUMN opened_by SET DEFAULT pg_current_xact_id()::text::bigint;

-- Processes of an earlier version close dead letters too.
CREATE FUNCTION note_closing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.closed_at := clock_timestamp();
    NEW.closed_by := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$;
CREATE TRIGGER dead_letters_closing BEFORE UPDATE OF status ON dead_letters FOR EACH ROW
    WHEN (OLD.status = 'open' AND NEW.status <> 'open') EXECUTE FUNCTION note_closing();
UPDATE dead_letters SET closed_at = updated_at WHERE status <> 'open';

-- A malformed message belongs to the user of its subject, also where the payload claims another. A subject ends with the
-- user, if it names one.
CREATE FUNCTION user_of_subject(subject text) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
    SELECT substring(subject FROM
        '\.([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})$')::uuid
$$;
UPDATE dead_letters SET user_id = user_of_subject(subject)
WHERE class = 'malformed' AND user_id <> user_of_subject(subject);
-- Without a user in the subject's last part it belongs to no user.
UPDATE dead_letters SET user_id = NULL
WHERE class = 'malformed' AND user_id IS NOT NULL AND user_of_subject(subject) IS NULL;
DROP FUNCTION user_of_subject;

-- They hold up their whole trading, so they do not wait for the next of the tries that were hours apart.
UPDATE dead_letters SET next_attempt_at = least(next_attempt_at, clock_timestamp())
WHERE status = 'open' AND next_attempt_at > clock_timestamp();

CREATE INDEX dead_letters_accounts ON dead_letters USING gin (accounts) WITH (fastupdate = off) WHERE blocks;
CREATE INDEX dead_letters_of_whole_tradings ON dead_letters (stream, lane, user_id, trading_id)
    WHERE blocks AND accounts IS NULL;
CREATE INDEX dead_letters_order ON dead_letters (stream, lane, user_id, stream_created_at, stream_seq) WHERE blocks;
CREATE INDEX dead_letters_open_of_user ON dead_letters (user_id, created_at, id) WHERE status = 'open';
CREATE INDEX dead_letters_closed ON dead_letters (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX dead_letters_closed_of_user ON dead_letters (user_id, closed_at, id) WHERE closed_at IS NOT NULL;
