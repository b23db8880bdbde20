-- Erased data and changed names stay as they are.
DROP TRIGGER insert_of_earlier_programs ON users;
DROP TRIGGER rename_of_earlier_programs ON users;
DROP FUNCTION answer_earlier_programs;
DROP INDEX users_email_folded_unique, users_username_folded_unique;
ALTER TABLE users DROP COLUMN email_shared, DROP COLUMN username_shared;
DROP FUNCTION folded_name;
DROP INDEX audit_logs_resource, audit_logs_latest;
ALTER TABLE oauth_states DROP COLUMN rotates;
DROP INDEX sessions_active;
-- A token that rotates cannot be renewed by the earlier version.
DELETE FROM sessions WHERE refresh_generation IS NOT NULL;
ALTER TABLE sessions DROP COLUMN rotated_at, DROP COLUMN refresh_generation, DROP COLUMN last_used_at, DROP COLUMN ip;
