// Who may use the control API: the admin token and the tokens with smaller scopes, kept in the state directory (0600).
// It compares in constant time and never says which token was close. tokens.json may be edited while the system runs.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '../../kit/failure.ts'
import { systemFailures } from '../failures.ts'
import { writePrivate } from '../private-file.ts'
import type { Scope } from './contract.ts'

interface NamedToken {
  readonly name: string
  readonly scope: Exclude<Scope, 'none'>
  readonly token: string
}

export interface Tokens {
  readonly admin: string
  /** The scope of a token that a request presents; null when nobody has it. */
  scopeOf(presented: string): Exclude<Scope, 'none'> | null
}

const scopes = ['metrics', 'read', 'admin'] as const
/** Shorter ones could be guessed. */
const tokenLengthMin = 16

/** Does a token of scope `has` allow what needs `needs`? */
export function allows(has: Scope, needs: Scope): boolean {
  return needs === 'none' || scopes.indexOf(has as 'read') >= scopes.indexOf(needs)
}

/** Reads the tokens, making them on first use. */
export function openTokens(stateDirectory: string): Tokens {
  const adminFile = join(stateDirectory, 'token')
  const listFile = join(stateDirectory, 'tokens.json')
  // A file that was cut short (a full disk, a lost edit) would lock everybody out.
  if ((readAdminToken(stateDirectory)?.length ?? 0) < tokenLengthMin) {
    writePrivate(adminFile, `${newToken()}\n`)
  }
  if (!existsSync(listFile)) writePrivate(listFile, firstList())
  const admin = readFileSync(adminFile, 'utf8').trim()
  let read = { stamp: 0, tokens: readList(listFile) }
  return {
    admin,
    scopeOf: presented => {
      const stamp = statSync(listFile, { throwIfNoEntry: false })?.mtimeMs ?? 0
      if (stamp !== read.stamp) read = { stamp, tokens: stamp === 0 ? [] : readList(listFile) }
      return scopeAmong([{ name: 'admin', scope: 'admin', token: admin }, ...read.tokens], presented)
    },
  }
}

/** The admin token of a state directory, for the command line; null where there is none. */
export function readAdminToken(stateDirectory: string): string | null {
  const file = join(stateDirectory, 'token')
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null
}

function scopeAmong(tokens: readonly NamedToken[], presented: string): Exclude<Scope, 'none'> | null {
  const digest = digestOf(presented)
  let found: Exclude<Scope, 'none'> | null = null
  // All are compared, also after a match, so that the time says nothing.
  for (const known of tokens) {
    if (timingSafeEqual(digest, digestOf(known.token))) found = known.scope
  }
  return found
}

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()
const newToken = (): string => `tf_${randomBytes(32).toString('base64url')}`

function firstList(): string {
  const tokens: NamedToken[] = [
    { name: 'read', scope: 'read', token: newToken() },
    { name: 'metrics', scope: 'metrics', token: newToken() },
  ]
  return `${JSON.stringify({ format: 1, tokens }, null, 2)}\n`
}

function readList(file: string): NamedToken[] {
  try {
    const { tokens } = JSON.parse(readFileSync(file, 'utf8')) as { tokens: NamedToken[] }
    return tokens.filter(
      entry =>
        scopes.includes(entry.scope) &&
        typeof entry.token === 'string' &&
        entry.token.length >= tokenLengthMin,
    )
  } catch (cause) {
    throw new Failure(
      systemFailures.stateUnusable,
      `${file} is not a list of tokens: expected { "format": 1, "tokens": [{ "name", "scope", "token" }] }.`,
      { cause, details: { remedy: `Correct ${file}, or delete it: new tokens are made then.` } },
    )
  }
}
