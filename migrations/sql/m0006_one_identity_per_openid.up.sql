-- Makes openids unique. Where two identities have the same openid, the one that a sign-in finds first keeps it; the other
-- is still found by its subject, so that no sign-in leads to another user.
UPDATE oauth_identities SET openid = NULL WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY provider, openid ORDER BY subject = openid DESC, created_at, id) AS place
        FROM oauth_identities WHERE openid IS NOT NULL
    ) AS places
    WHERE place > 1
);
DROP INDEX oauth_identities_openid;
CREATE UNIQUE INDEX oauth_identities_openid_unique ON oauth_identities (provider, openid) WHERE openid IS NOT NULL;
