-- Symbols of 1 to 64 characters in any script. The column excludes only what no symbol has; the parser decides the rest. Every
-- symbol that the replaced constraint allowed is allowed, so NOT VALID saves reading the table under its lock.
ALTER TABLE sub_accounts DROP CONSTRAINT sub_accounts_symbol_check;
ALTER TABLE sub_accounts ADD CONSTRAINT sub_accounts_symbol_check
    CHECK (length(symbol) BETWEEN 1 AND 64 AND symbol !~ '[[:space:][:cntrl:]]') NOT VALID;
