DROP INDEX oauth_identities_openid_unique;
CREATE INDEX oauth_identities_openid ON oauth_identities (openid) WHERE openid IS NOT NULL;
