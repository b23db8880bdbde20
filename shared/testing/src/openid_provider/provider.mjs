// An OpenID provider for development and tests: any address typed into its form signs that user in.
//
// It requires from its one client what Google requires: secret, redirect URI, PKCE, codes that work once. All state is
// in memory.

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { Provider, interactionPolicy } from "oidc-provider";

const { OPENID_PORT, OPENID_CLIENT_ID, OPENID_CLIENT_SECRET, OPENID_REDIRECT_URIS } = process.env;
const RSA_BITS = 2048;
const MINUTE = 60;

// Without this check the session of the browser would sign the same user in again.
const policy = interactionPolicy.base();
policy.get("login").checks.add(
  new interactionPolicy.Check("sign_in_again", "every sign-in needs the form", ({ oidc }) => !oidc.result?.login),
);

// Addresses with this prefix count as unverified.
const isVerified = (email) => !email.startsWith("unverified");

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: RSA_BITS });
const provider = new Provider(`http://127.0.0.1:${OPENID_PORT}`, {
  clients: [
    {
      client_id: OPENID_CLIENT_ID,
      client_secret: OPENID_CLIENT_SECRET,
      redirect_uris: OPENID_REDIRECT_URIS.split(","),
      token_endpoint_auth_method: "client_secret_post",
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), alg: "RS256", use: "sig" }] },
  cookies: { keys: [randomBytes(32).toString("base64url")] },
  pkce: { required: () => true },
  // A developer who signs in by hand takes a while to copy the code.
  ttl: { AuthorizationCode: 10 * MINUTE, Interaction: 60 * MINUTE },
  interactions: { policy },
  // Google puts the claims into the id token.
  conformIdTokenClaims: false,
  claims: { email: ["email", "email_verified"], profile: ["name"] },
  findAccount: (_context, email) => ({
    accountId: email,
    claims: () => ({ sub: email, email, email_verified: isVerified(email), name: email.split("@")[0] }),
  }),
});

provider.listen(Number(OPENID_PORT), "127.0.0.1");
