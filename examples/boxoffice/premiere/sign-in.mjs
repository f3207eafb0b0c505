// Who somebody is, for the premiere: a signed token (Ed25519) in a cookie, another one at each sign-in. The edge verifies it
// by `keys`, and counts by its subject, which stays. The key is one row, shared by all instances. Stores no people.
// Any address is believed: the example sends no mail. A real shop does, and that is what makes accounts cost something.

import { createHash, randomUUID } from 'node:crypto'
import { createLocalJWKSet, exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT } from 'jose'

const algorithm = 'EdDSA'
export const issuer = 'https://boxoffice.example'
export const audience = 'boxoffice'
export const cookieName = 'boxoffice'
const goodSeconds = 7 * 86_400

/** One address is one account, however it is written. */
function accountOf(email) {
  return createHash('sha256').update(email.trim().toLowerCase()).digest('base64url').slice(0, 16)
}

async function makeKey(client) {
  const { privateKey } = await generateKeyPair(algorithm, { crv: 'Ed25519', extractable: true })
  const jwk = await exportJWK(privateKey)
  const id = createHash('sha256').update(jwk.x).digest('base64url').slice(0, 12)
  await client.query('INSERT INTO sign_in_keys (id, private) VALUES ($1, $2)', [id, jwk])
}

/** Any number, the same in each instance. */
const lock = 7_264_111

async function firstKey(client) {
  await client.query('SELECT pg_advisory_xact_lock($1)', [lock])
  const found = await client.query('SELECT id, private FROM sign_in_keys ORDER BY made_at LIMIT 1')
  if (found.rowCount > 0) return found.rows[0]
  await makeKey(client)
  return firstKey(client)
}

export function cookieOf(header = '', wanted = cookieName) {
  const pairs = header.split(';').map(pair => pair.trim().split('='))
  return pairs.find(([name]) => name === wanted)?.[1]
}

export async function createSignIn(database) {
  const { id, private: jwk } = await database.transaction(firstKey)
  const { d: _secret, ...open } = jwk
  const keys = { keys: [{ ...open, kid: id, alg: algorithm, use: 'sig' }] }
  const known = createLocalJWKSet(keys)
  const key = await importJWK(jwk, algorithm)
  return {
    /** JSON Web Key Set. */
    keys,
    /** A field's value. */
    async cookieFor({ email, secure }) {
      const now = Math.floor(Date.now() / 1_000)
      const token = await new SignJWT()
        .setProtectedHeader({ alg: algorithm, kid: id, typ: 'JWT' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(accountOf(email))
        .setJti(randomUUID())
        .setIssuedAt(now)
        .setExpirationTime(now + goodSeconds)
        .sign(key)
      const flags = `Path=/; Max-Age=${goodSeconds}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
      return `${cookieName}=${token}; ${flags}`
    },
    /** The account, or null: nobody whom we signed in. For the shop without a guard. */
    async accountOf(cookies) {
      const token = cookieOf(cookies)
      if (!token) return null
      try {
        const { payload } = await jwtVerify(token, known, { issuer, audience, algorithms: [algorithm] })
        return payload.sub
      } catch {
        return null
      }
    },
  }
}
