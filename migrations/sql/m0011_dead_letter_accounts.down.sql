DROP INDEX dead_letters_closed_of_user, dead_letters_closed, dead_letters_open_of_user, dead_letters_order,
    dead_letters_of_whole_tradings, dead_letters_accounts;
DROP TRIGGER dead_letters_closing ON dead_letters;
DROP FUNCTION note_closing;
ALTER TABLE dead_letters
    DROP COLUMN closed_by,
    DROP COLUMN opened_by,
    DROP COLUMN closed_at,
    DROP COLUMN accounts;
