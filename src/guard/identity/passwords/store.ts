// The file of passwords: lines of `NAME:scrypt$N$r$p$SALT$HASH` (RFC 7914). Pure text in and out, but for the work of
// scrypt itself, which runs off the loop.

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

export interface StoredPassword {
  readonly cost: number
  readonly blockSize: number
  readonly parallel: number
  readonly salt: Buffer
  readonly hash: Buffer
}

const lineForm =
  /^([^:\x00-\x1f]{1,200}):scrypt\$(\d{4,7})\$(\d{1,2})\$(\d{1,2})\$([\w-]{16,100})\$([\w-]{43})$/
const usersMax = 10_000
const hashBytes = 32
/** 16 MB and about 50 ms of a core (OWASP's password storage cheat sheet, 2024). */
const defaults = { cost: 16_384, blockSize: 8, parallel: 5 }
const memoryMax = 128 << 20

/** Throws with the number of a line that is none; a line is never shown. */
export function parsePasswords(text: string): ReadonlyMap<string, StoredPassword> {
  const users = new Map<string, StoredPassword>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue
    const [, name = '', cost, blockSize, parallel, salt = '', hash = ''] = lineForm.exec(line) ?? []
    const stored = {
      cost: Number(cost),
      blockSize: Number(blockSize),
      parallel: Number(parallel),
      salt: Buffer.from(salt, 'base64url'),
      hash: Buffer.from(hash, 'base64url'),
    }
    if (name === '' || !isBearable(stored)) throw new Error(`line ${index + 1} is no NAME:HASH`)
    if (users.has(name)) throw new Error(`line ${index + 1} has a name that is there already`)
    if (users.size >= usersMax) throw new Error(`there are more than ${usersMax} names`)
    users.set(name, stored)
  }
  return users
}

/** A power of two, within the memory that one check may take. */
const isBearable = ({ cost, blockSize, parallel }: StoredPassword): boolean =>
  Number.isInteger(Math.log2(cost)) && 128 * cost * blockSize <= memoryMax && blockSize > 0 && parallel > 0

export async function passwordLine(name: string, password: string): Promise<string> {
  const salt = randomBytes(16)
  const stored = { ...defaults, salt, hash: Buffer.alloc(0) }
  const hash = await work(password, stored)
  const { cost, blockSize, parallel } = defaults
  return `${name}:scrypt$${cost}$${blockSize}$${parallel}$${salt.toString('base64url')}$${hash.toString('base64url')}\n`
}

/** Nobody's: checked for names that are not there, so that they take as long. */
export const nobodysPassword: StoredPassword = {
  ...defaults,
  salt: Buffer.alloc(16),
  hash: Buffer.alloc(hashBytes),
}

export async function fits(password: string, stored: StoredPassword): Promise<boolean> {
  return timingSafeEqual(await work(password, stored), stored.hash)
}

function work(password: string, { cost, blockSize, parallel, salt }: StoredPassword): Promise<Buffer> {
  const options = { N: cost, r: blockSize, p: parallel, maxmem: 2 * memoryMax }
  return new Promise((resolve, reject) =>
    // RFC 8265: one form of a name's accents.
    scrypt(password.normalize('NFC'), salt, hashBytes, options, (error, key) =>
      error === null ? resolve(key) : reject(error),
    ),
  )
}
