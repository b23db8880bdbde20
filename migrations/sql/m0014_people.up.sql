-- Sessions that can be listed, ended one by one and renewed with rotating tokens; indexes for reading the audit trail;
-- names and addresses that differ only in case or Unicode form belong to one user; erasure of deleted users and bindings.

-- `refresh_generation` counts the refresh tokens of a session whose tokens rotate; null for one whose token stays.
ALTER TABLE sessions
    ADD COLUMN ip                 text CHECK (length(ip) <= 45),
    ADD COLUMN last_used_at       timestamptz,
    ADD COLUMN refresh_generation integer CHECK (refresh_generation >= 0),
    ADD COLUMN rotated_at         timestamptz;
ALTER TABLE sessions ALTER COLUMN last_used_at SET DEFAULT now();
CREATE INDEX sessions_active ON sessions (user_id, created_at DESC, id DESC) WHERE revoked_at IS NULL;

ALTER TABLE oauth_states ADD COLUMN rotates boolean NOT NULL DEFAULT false;

CREATE INDEX audit_logs_latest ON audit_logs (timestamp DESC, id DESC);
CREATE INDEX audit_logs_resource ON audit_logs (resource_id, timestamp DESC) WHERE resource_id IS NOT NULL;

-- Equal for names that a reader takes for the same one: compatible characters and case do not count. The collation makes
-- the result independent of the locale of the database.
DO $$
DECLARE
    rules text := CASE WHEN EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu') THEN 'und-x-icu' ELSE 'default' END;
BEGIN
    EXECUTE format('CREATE FUNCTION folded_name(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE '
        'RETURN lower(upper(normalize(name, NFKC) COLLATE pg_catalog.%I) COLLATE pg_catalog.%1$I)', rules);
END $$;

-- Equal for spellings of one e-mail address. Unlike in names, ß is not ss and a dotless i is not i: domains may differ by
-- them, and the owner of one would have the addresses of another.
DO $$
DECLARE
    rules text := CASE WHEN EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu') THEN 'und-x-icu' ELSE 'default' END;
BEGIN
    EXECUTE format('CREATE FUNCTION folded_address(address text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE '
        'RETURN lower(normalize(address, NFKC) COLLATE pg_catalog.%I)', rules);
END $$;

-- Brings the names of a table into NFC without outer whitespace, one by one, because a shortened name may be taken.
-- Reports those that stay, by id only, as logs must not hold names.
CREATE FUNCTION pg_temp.normalize_names(named regclass, name text, living text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    entry record;
BEGIN
    FOR entry IN EXECUTE format(
        'SELECT id, old, regexp_replace(normalize(old, NFC), ''^\s+|\s+$'', '''', ''g'') AS new '
        'FROM (SELECT id, %I AS old FROM %s WHERE %s) names WHERE old IS NOT NULL '
        'AND (old ~ ''^\s|\s$'' OR old IS NOT NFC NORMALIZED)', name, named, living)
    LOOP
        IF entry.new = '' AND name <> 'full_name' THEN
            RAISE WARNING '% %: % is blank and stays until it is renamed', named, entry.id, name;
            CONTINUE;
        END IF;
        BEGIN
            EXECUTE format('UPDATE %s SET %I = $1 WHERE id = $2', named, name) USING entry.new, entry.id;
        EXCEPTION WHEN unique_violation THEN
            RAISE WARNING '% %: % stays as it is, because its plain form is taken', named, entry.id, name;
        END;
    END LOOP;

    FOR entry IN EXECUTE format('SELECT id FROM %s WHERE %s AND %I ~ $1', named, living, name)
        USING E'[\x01-\x1F\x7F\u0080-\u009F\u200B-\u200F\u2028-\u202E\u2060-\u2069\uFEFF]'
    LOOP
        RAISE WARNING '% %: % has invisible or control characters and stays until it is renamed', named, entry.id, name;
    END LOOP;
END $$;
SELECT pg_temp.normalize_names('users', 'username', $$status <> 'deleted'$$);
SELECT pg_temp.normalize_names('users', 'full_name', $$status <> 'deleted'$$);
SELECT pg_temp.normalize_names('users', 'email', $$status <> 'deleted'$$);
SELECT pg_temp.normalize_names('tradings', 'name', $$status IN ('active', 'paused')$$);
SELECT pg_temp.normalize_names('sub_accounts', 'name', 'deleted_at IS NULL');
SELECT pg_temp.normalize_names('exchange_bindings', 'name', $$status <> 'deleted'$$);
DROP FUNCTION pg_temp.normalize_names;

-- Users who had an equal name or address before keep it: the flags exempt all but the oldest of them.
ALTER TABLE users
    ADD COLUMN username_shared boolean NOT NULL DEFAULT false,
    ADD COLUMN email_shared    boolean NOT NULL DEFAULT false;
DO $$
DECLARE
    shared record;
BEGIN
    FOR shared IN
        SELECT id, first_value(id) OVER same AS oldest, row_number() OVER same AS place
        FROM users WHERE status <> 'deleted'
        WINDOW same AS (PARTITION BY folded_name(username) ORDER BY created_at, id)
    LOOP
        CONTINUE WHEN shared.place = 1;
        UPDATE users SET username_shared = true WHERE id = shared.id;
        RAISE WARNING 'users % and % have the same username except for case or Unicode form', shared.oldest, shared.id;
    END LOOP;

    FOR shared IN
        SELECT id, first_value(id) OVER same AS oldest, row_number() OVER same AS place
        FROM users WHERE status <> 'deleted' AND email IS NOT NULL
        WINDOW same AS (PARTITION BY folded_address(email) ORDER BY created_at, id)
    LOOP
        CONTINUE WHEN shared.place = 1;
        UPDATE users SET email_shared = true WHERE id = shared.id;
        RAISE WARNING 'users % and % have the same e-mail address except for case or Unicode form', shared.oldest, shared.id;
    END LOOP;
END $$;
CREATE UNIQUE INDEX users_username_folded_unique ON users (folded_name(username))
    WHERE status <> 'deleted' AND NOT username_shared;
CREATE UNIQUE INDEX users_email_folded_unique ON users (folded_address(email))
    WHERE status <> 'deleted' AND NOT email_shared;

-- Programs of before name neither flag, and know only the earlier indexes. Their ON CONFLICT clause skips a user with an equal
-- username, so that one whose name is taken otherwise is skipped, too; other conflicts become errors of the earlier indexes.
ALTER TABLE users ALTER COLUMN username_shared DROP DEFAULT, ALTER COLUMN email_shared DROP DEFAULT;
CREATE FUNCTION answer_earlier_programs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    has_name  boolean := EXISTS (SELECT FROM users u WHERE folded_name(u.username) = folded_name(NEW.username)
        AND u.username <> NEW.username AND u.id <> NEW.id AND u.status <> 'deleted' AND NOT u.username_shared);
    has_email boolean := EXISTS (SELECT FROM users u WHERE folded_address(u.email) = folded_address(NEW.email)
        AND lower(u.email) <> lower(NEW.email) AND u.id <> NEW.id AND u.status <> 'deleted' AND NOT u.email_shared);
BEGIN
    IF TG_OP = 'INSERT' AND has_name THEN
        RETURN NULL;
    ELSIF has_name AND NOT NEW.username_shared THEN
        RAISE unique_violation USING CONSTRAINT = 'users_username_unique', TABLE = 'users',
            MESSAGE = 'another user has this username except for case or Unicode form';
    ELSIF TG_OP = 'INSERT' AND has_email THEN
        RAISE unique_violation USING CONSTRAINT = 'users_email_unique', TABLE = 'users',
            MESSAGE = 'another user has this e-mail address except for case or Unicode form';
    END IF;
    NEW.username_shared := coalesce(NEW.username_shared, false);
    NEW.email_shared := coalesce(NEW.email_shared, false);
    RETURN NEW;
END $$;
CREATE TRIGGER insert_of_earlier_programs BEFORE INSERT ON users
    FOR EACH ROW WHEN (NEW.username_shared IS NULL) EXECUTE FUNCTION answer_earlier_programs();
CREATE TRIGGER rename_of_earlier_programs BEFORE UPDATE OF username ON users
    FOR EACH ROW WHEN (NEW.status <> 'deleted' AND NEW.username <> OLD.username) EXECUTE FUNCTION answer_earlier_programs();

-- Users and bindings that were deleted before.
UPDATE users SET username = 'deleted-' || id, full_name = '', email = NULL, email_verified_at = NULL, avatar = NULL,
    settings = '{}', info = '{}' WHERE status = 'deleted';
UPDATE sessions s SET user_agent = NULL FROM users u WHERE u.id = s.user_id AND u.status = 'deleted';
UPDATE exchange_bindings SET info = '{}' WHERE status = 'deleted' AND info <> '{}';
UPDATE exchange_bindings b SET name = 'deleted-' || b.id FROM users u WHERE u.id = b.user_id AND u.status = 'deleted';

-- Sealing needs the encryption key, which the database does not have.
DO $$
DECLARE
    clear bigint := (SELECT count(*) FROM exchange_bindings
        WHERE info ?| ARRAY['passphrase', 'password', 'api_key', 'apiKey', 'api_secret', 'apiSecret', 'secret']);
BEGIN
    IF clear > 0 THEN
        RAISE WARNING '% exchange bindings hold credentials in info: run tiris-api secrets rotate to encrypt them', clear;
    END IF;
END $$;
