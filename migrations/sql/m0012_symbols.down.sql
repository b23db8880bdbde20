-- Fails while an account has a symbol that the older version cannot read.
ALTER TABLE sub_accounts DROP CONSTRAINT sub_accounts_symbol_check;
ALTER TABLE sub_accounts ADD CONSTRAINT sub_accounts_symbol_check CHECK (symbol ~ '^[!-~]{1,20}$');
