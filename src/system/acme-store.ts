// What automatic certificates need to survive a restart: the account, each host's certificate, and how its last tries
// went. Owns STATE/acme/: a folder an authority, so that the certificates of a trial authority are never taken for those
// of another. Every file is replaced in one step and is for its owner's eyes only.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkPair } from '../io/tls-certificate.ts'
import type { CertificateLife } from '../policy/renew.ts'
import { type AcmeAccount, newKey } from './acme-order.ts'
import { writePrivate } from './private-file.ts'

/** How a host's tries went; absent: none was made, or the last one went well. */
export interface HostTrouble {
  /** In a row. */
  readonly failures: number
  /** The last failure's sentence; '' when nothing has failed. */
  readonly why: string
  /** Tries in a row that were begun and came to no end: the supervisor died, or one is under way. */
  readonly unfinished: number
  readonly nextTryAtMs: number
  /** Until then the authority wants no request, not even one that a person asks for. */
  readonly askedToWaitUntilMs: number
}

export interface AcmeStore {
  readonly account: AcmeAccount
  keepAccount(url: string): void
  /** Absolute: PEM, key and chain. */
  fileOf(host: string): string
  /** Null: there is none, or it is damaged. */
  lifeOf(host: string): CertificateLife | null
  keepCertificate(host: string, pem: string): void
  troubleOf(host: string): HostTrouble | null
  keepTrouble(host: string, trouble: HostTrouble | null): void
}

export function openAcmeStore(folder: string, directory: string): AcmeStore {
  const place = join(folder, folderName(directory))
  const accountFile = join(place, 'account.json')
  const troubleFile = join(place, 'troubles.json')
  let account = readAccount(accountFile)
  let troubles = readTroubles(troubleFile)
  const keep = (next: AcmeAccount): void => {
    account = next
    writePrivate(accountFile, `${JSON.stringify({ format: 1, directory, ...next })}\n`)
  }
  // Before it is used: an account whose key is lost is lost.
  if (account.url === null) keep(account)
  /** Asked for with each snapshot and status: read once. */
  const lives = new Map<string, CertificateLife | null>()
  const fileOf = (host: string): string =>
    join(place, 'certificates', `${host.replace(/[^a-z0-9.-]/g, '_')}.pem`)
  return {
    get account() {
      return account
    },
    keepAccount: url => keep({ ...account, url }),
    fileOf,
    lifeOf: host => {
      const known = lives.get(host)
      if (known !== undefined) return known
      const life = readLife(fileOf(host))
      lives.set(host, life)
      return life
    },
    keepCertificate: (host, pem) => {
      writePrivate(fileOf(host), pem)
      lives.set(host, readLife(fileOf(host)))
    },
    troubleOf: host => troubles[host] ?? null,
    keepTrouble: (host, trouble) => {
      const { [host]: _, ...others } = troubles
      troubles = trouble === null ? others : { ...others, [host]: trouble }
      writePrivate(troubleFile, `${JSON.stringify(troubles)}\n`)
    },
  }
}

/** Readable, and another one for each URL. */
function folderName(directory: string): string {
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 8)
  return `${new URL(directory).hostname}-${hash}`
}

function readAccount(file: string): AcmeAccount {
  try {
    const { key, url } = JSON.parse(readFileSync(file, 'utf8')) as Partial<AcmeAccount>
    if (typeof key === 'string') return { key, url: typeof url === 'string' ? url : null }
  } catch {
    // None yet, or damaged: a new account costs nothing.
  }
  return { key: newKey(), url: null }
}

function readTroubles(file: string): Readonly<Record<string, HostTrouble>> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, HostTrouble>
  } catch {
    return {}
  }
}

function readLife(file: string): CertificateLife | null {
  try {
    const pem = readFileSync(file, 'utf8')
    const { notBefore, notAfter } = checkPair(pem, pem, file)
    return { notBeforeMs: notBefore, notAfterMs: notAfter }
  } catch {
    return null
  }
}
