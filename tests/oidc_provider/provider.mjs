// A certified OpenID provider for tests: node provider.mjs CONFIGURATION, one JSON document. Whoever types a name is that person.
import { readFileSync } from "node:fs";
import Provider from "oidc-provider";

const given = JSON.parse(readFileSync(process.argv[2], "utf8"));
const provider = new Provider(given.issuer, {
  clients: given.clients,
  jwks: given.jwks,
  // False: what the scopes ask for stands in the ID token itself; true, as the specification has it: at the address of user info alone.
  conformIdTokenClaims: given.conform,
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email", "email_verified"] },
  cookies: { keys: ["only for tests"] },
  enabledJWA: { idTokenSigningAlgValues: ["RS256", "ES256", "PS256"] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      preferred_username: given.names[id] ?? id,
      groups: given.groups[id] ?? [],
      email: `${id}@example.com`,
      email_verified: true,
    }),
  }),
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
});
provider.on("server_error", (_context, error) => console.error(error));
provider.listen(new URL(given.issuer).port, "127.0.0.1", () => console.log("listening"));
