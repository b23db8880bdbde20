-- Of one openid there is one identity. Where there are two, the one that is found first keeps it; the other one is still
-- found by its subject, so nobody becomes somebody else.
UPDATE oauth_identities SET openid = NULL WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY provider, openid ORDER BY subject = openid DESC, created_at, id) AS place
        FROM oauth_identities WHERE openid IS NOT NULL
    ) AS places
    WHERE place > 1
);
DROP INDEX oauth_identities_openid;
CREATE UNIQUE INDEX oauth_identities_openid_unique ON oauth_identities (provider, openid) WHERE openid IS NOT NULL;
