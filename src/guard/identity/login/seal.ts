// What a login keeps in the browser: sealed (AES-256-GCM), so that it can be neither read nor changed, and tied to its
// purpose, login and client at the provider: what was sealed for one is nothing to another. A time is sealed with it.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const nonceBytes = 12
const tagBytes = 16
/** Browsers keep cookies of up to 4,096 bytes, name and attributes with them (RFC 6265 6.1). */
export const sealedCharsMax = 3_800

/** @param context who may open it: purpose, login, issuer, client. */
export function seal(key: Buffer, context: string, value: object): string {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
  const body = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
  return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url')
}

/** Null: not ours, changed, or for something else. */
export function unseal(key: Buffer, context: string, text: string): Record<string, unknown> | null {
  if (text.length > sealedCharsMax || !/^[\w-]+$/.test(text)) return null
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length <= nonceBytes + tagBytes) return null
  try {
    const opened = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes))
      .setAAD(Buffer.from(context))
      .setAuthTag(bytes.subarray(-tagBytes))
    const body = Buffer.concat([opened.update(bytes.subarray(nonceBytes, -tagBytes)), opened.final()])
    return JSON.parse(body.toString('utf8')) as Record<string, unknown>
  } catch {
    return null
  }
}
