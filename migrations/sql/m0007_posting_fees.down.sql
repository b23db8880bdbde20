ALTER TABLE transactions DROP COLUMN fee;
